"""Parameter-efficient finetuning: the model stays frozen, and little beside it is trained.

settings.py    rank, strength and place of a low-rank adapter; no torch
lora.py        apply_lora, merged, adapter_state: low-rank changes of linear layers
token_rows.py  single trained rows of the embedding and of the output layer
dropout.py     dropout that is the same for any number of threads
"""
