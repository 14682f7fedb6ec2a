"""Text to token ids and back.

settings.py    what a tokenizer is trained with
control.py     the tokens that steer a model, which no text can spell
bpe.py         learns byte-level BPE merges from texts
tokenizer.py   encodes and decodes with what was learned
training.py    corpus in, Hugging Face tokenizer folder out
compression.py how well it compresses each source
texts.py       the texts of a corpus, batch by batch
"""
