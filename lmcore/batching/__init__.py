"""From a corpus and a tokenizer to batches of token ids.

settings.py      how shards are cut
token_shards.py  writes the token stream of each side as files, and reads it back by memory map
shard_index.py   what the files hold: counts, digests, where each document lies
stream.py        a long row of tokens, wherever its parts lie
windows.py       which tokens a training step or a validation sees: pure functions of (seed, step)
mixture.py       the same from several sources in chosen shares
packing.py       the same as whole documents, put into rows by best fit
loader.py        hands out a run's batches, made ahead by threads, of one rank of several
megatron.py      the documents of a side as Megatron-LM's .bin and .idx
conversations.py which conversations a finetuning step sees: batches of like length, pure functions too
permutation.py   a seeded order of any length that needs no memory

A folder of shards is plain files:

index.json             format, dtype (uint16 | uint32), vocab_size, eos_id, digest of the tokenizer, and of
                       each side (train, validation, test) its counts and each file's name, size and SHA-256
<side>-00000.bin, ...  the side's tokens, little-endian, without header or padding; to be read one after the
                       other. All files but the last are equally long; a document may lie in two of them
<side>-offsets.npy     int64 (documents + 1,): document n is tokens offsets[n] to offsets[n + 1] of the side;
                       its last token is always eos_id
<side>-documents.parquet  a row per document: id, source, file, line, title, digest of the text, place, length
token-bytes.npy        uint32 (vocab_size,): bytes of text that each id stands for; 0 for control tokens

NumPy alone reads them:

    index = json.loads((folder / "index.json").read_text())
    side, dtype = index["sides"]["train"], np.dtype(index["dtype"]).newbyteorder("<")
    shards = [np.memmap(folder / file["file"], dtype, "r") for file in side["shards"]]
    offsets = np.load(folder / side["offsets"]["file"])
    document = np.concatenate(shards)[offsets[3] : offsets[4]]
"""
