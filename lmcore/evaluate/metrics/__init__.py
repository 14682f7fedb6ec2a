"""What an answer is worth beside the wanted one, text by text.

rouge.py   ROUGE-N, -L and -Lsum, equal to the `rouge-score` package
tokens.py  the words that ROUGE counts: rouge-score's own, or those of any script
lcs.py     longest common subsequences by bit-parallel arithmetic
exact.py   exact match, spaces and letter case aside
"""
