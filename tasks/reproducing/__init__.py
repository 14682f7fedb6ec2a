"""Building a model once more from its record, in a workspace of its own, and comparing digest by digest.

arguments.py  the call of a step, out of the manifest that it left
rebuild.py    every product behind a model in order, made again or brought from a copy
verdict.py    same bytes, or which one is the first that differs, and why that may be
"""
