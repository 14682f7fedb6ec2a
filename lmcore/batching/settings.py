"""How a token stream is cut into files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lmcore.config import Config


class ShardsConfig(Config):
    """How to write the token stream; which tokens it holds is up to the corpus and the tokenizer."""

    shard_tokens: int = Field(64_000_000, ge=1)
    """Tokens in one file, of 128 MB or (four bytes each) 256 MB; a side's last one holds what is left."""
    dtype: Literal["auto", "uint16", "uint32"] = "auto"
    """Bytes for one token id: `auto` takes two where the vocabulary fits (65,536 tokens), else four."""
