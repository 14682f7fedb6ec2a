"""Pretraining: token shards in, a Hugging Face folder out, in one visible loop.

settings.py     how to walk downhill, and what a request to train holds; no torch
pretrain.py     request -> facts: prepares, resumes, runs the loop, saves the best
loop.py         the loop
gradient.py     the gradient of one batch, the same bits for any number of threads
precision.py    float32 master weights and their bfloat16 working copy
optimizer.py    which rule moves which weights
muon.py         the rule for matrices
adamw.py        the rule for all else
schedule.py     warm-up, then a cosine
validation.py   loss and bits per byte on held-out text, and samples
checkpoint.py   the working state on disk: atomic, checksummed, two kept
journal.py      JSON lines that can be cut back to a checkpoint
__main__.py     python -m lmcore.train REQUEST.json
"""
