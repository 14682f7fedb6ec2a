"""Pretraining: token shards in, a Hugging Face folder out, in one visible loop that all training shares.

settings.py     how to walk downhill, and what a request to train holds; no torch
pretrain.py     request -> facts: what is trained on what, from scratch or from a base
base.py         the model that a run goes on from
batch.py        what a step learns from and a look scores, cut into passes
loop.py         the loop
gradient.py     the gradient of one batch, the same bits for any number of threads
precision.py    float32 master weights and their bfloat16 working copy
optimizer.py    which rule moves which weights
muon.py         the rule for matrices
adamw.py        the rule for all else
schedule.py     warm-up, then a cosine
validation.py   loss and bits per byte on held-out text, and samples
folder.py       a run in its folder: begun, gone on with, brought to its end
checkpoint.py   the working state on disk: atomic, checksummed, two kept
journal.py      JSON lines that can be cut back to a checkpoint
process.py      a request run as a process: signals, exit codes
__main__.py     python -m lmcore.train REQUEST.json
"""
