"""What a tokenizer is trained with."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lmcore.config import Config
from lmcore.tokenizers.control import CONTROL_TOKENS

SMALLEST_VOCABULARY = 256 + len(CONTROL_TOKENS)


class TokenizerConfig(Config):
    """How to learn a vocabulary from the training side of a corpus."""

    vocab_size: int = Field(4096, ge=SMALLEST_VOCABULARY, le=1_000_000)
    """Tokens in all: the control tokens, the 256 bytes, and one for each merge that is learned."""
    pre_tokenizer: Literal["gpt2", "gpt4", "llama3", "qwen2"] = "gpt2"
    """Where text may be cut into words before merging; each is a rule that llama.cpp knows by name."""
    min_frequency: int = Field(2, ge=1)
    """A pair of tokens seen fewer times than this is never merged."""
    sample_bytes: int = Field(1_000_000_000, ge=1)
    """Learn from about so much text, whole documents chosen by their digest, when the corpus has more.

    It bounds the memory of training, and keeps the trainer's pair counts below 2**31, where they overflow.
    """
