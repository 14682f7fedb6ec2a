"""Continuing a text.

logits.py  shapes the distribution
decode.py  draws tokens from it one by one
batch.py   many greedy answers at once, the same ones
"""
