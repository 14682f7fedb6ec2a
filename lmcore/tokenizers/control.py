"""The tokens that steer a model: they have the first ids, and no text encodes to one of them."""

from __future__ import annotations

END_OF_TEXT = "<|endoftext|>"
"""Stands after every document, and before the first."""
MESSAGE_START = "<|im_start|>"
MESSAGE_END = "<|im_end|>"
PAD = "<|pad|>"
"""Never the same as END_OF_TEXT: a model that is taught to ignore its padding would not learn to stop."""
RESERVED = tuple(f"<|reserved_{number}|>" for number in range(4))
"""Rows of the embedding kept free for what a finetuning may need later."""

CONTROL_TOKENS = (END_OF_TEXT, MESSAGE_START, MESSAGE_END, PAD, *RESERVED)
