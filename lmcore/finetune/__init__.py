"""Finetuning: a base and conversations in, a model that answers out.

settings.py    what to train of a base, how long and how fast; no torch
supervised.py  request -> facts: what is trained on what; the loop is that of lmcore.train
answers.py     conversations as rows in which the assistant's words count, cut into passes
adapters/      a small trained change beside a frozen model
__main__.py    python -m lmcore.finetune REQUEST.json
"""
