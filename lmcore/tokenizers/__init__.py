"""Text to token ids and back.

settings.py       what a tokenizer is trained with
vocabularies/     what tokens are: merged pieces, words, characters or bytes
control.py        the tokens that steer a model, which no text can spell
patterns.py       the published rules that cut text into pieces
pieces.py         cuts texts by them; characters.py what each character is
piece_table.py    numbers for pieces; key_table.py the hash table below it
piece_counts.py   how often each piece occurs, for more text than memory holds
bpe.py            learns byte-level BPE from counts; stream.py, merging.py and merge_queue.py do the work
document.py       writes tokenizer.json; byte_letters.py the letters that stand for bytes
tokenizer.py      encodes and decodes with what was learned; encoder.py remembers pieces
training.py       corpus in, Hugging Face tokenizer folder out
compression.py    how well it compresses each source; references.py vocabularies of others beside it
texts.py          the texts of a corpus, batch by batch
"""
