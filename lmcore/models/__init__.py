"""Models: token ids in, logits out.

transformer.py   Transformer, a decoder of the Llama family
unigram.py       the baseline that every model must beat
settings.py      what a model is made of, without torch
"""
