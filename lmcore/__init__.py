"""Computes: models, tokenizers, corpora, training, evaluation. Handed paths and tensors, calls no service."""
