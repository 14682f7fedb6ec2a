"""Layers. The letters of shape comments everywhere in lmcore:

B batch, T tokens, D width, H heads, G key-value heads, K head width, V vocabulary, F hidden width,
S tokens that are visible to attention (those in the cache and the new ones), N tokens of a flattened batch.
"""
