"""From a corpus and a tokenizer to batches of token ids.

settings.py      how shards are cut
token_shards.py  writes the token stream of each side as files, and reads it back by memory map
shard_index.py   what the files hold: counts, digests, where each document lies
windows.py       which tokens a training step or a validation sees: pure functions of (seed, step)
mixture.py       the same from several sources in chosen shares
conversations.py which conversations a finetuning step sees: batches of like length, pure functions too
permutation.py   a seeded order of any length that needs no memory
"""
