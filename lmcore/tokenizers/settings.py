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
    """Where text may be cut into words before merging; gpt4 and llama3 cut alike, under two names."""
    min_frequency: int = Field(2, ge=1)
    """A pair of tokens seen fewer times than this is never merged."""
    sample_bytes: int | None = Field(None, ge=1)
    """Learn from about so much text, whole documents chosen by their digest; without it from all."""
    memory_bytes: int = Field(1_000_000_000, ge=20_000_000)
    """About what training keeps in memory; tables that outgrow it go to disk. The vocabulary is the same."""
