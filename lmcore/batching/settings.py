"""How a token stream is cut into files, and how much of it comes from each source."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lmcore.config import Config

Weights = Annotated[dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]], Field(min_length=1)]
"""Source -> its share in proportion to the others'; sources that are not named are left out."""


class ShardsConfig(Config):
    """How to write the token stream; which tokens it holds is up to the corpus and the tokenizer."""

    shard_tokens: int = Field(64_000_000, ge=1)
    """Tokens in one file, of 128 MB or (four bytes each) 256 MB; a side's last one holds what is left."""
    dtype: Literal["auto", "uint16", "uint32"] = "auto"
    """Bytes for one token id: `auto` takes two where the vocabulary fits (65,536 tokens), else four."""


class MixtureConfig(Config):
    """How much of what is learned, and of what chooses the best weights, comes from each source."""

    weights: Weights | None = None
    """Source -> its share in proportion to the others', such as {jane_austen: 3, king_james_bible: 1}; who is
    not named is left out."""

    temperature: float | None = Field(None, ge=1, allow_inf_nan=False)
    """In place of weights: each source by its tokens to the power of 1 / temperature. 1 leaves the sources as
    they are, more lifts the small ones, 100 makes all nearly equal."""

    @model_validator(mode="after")
    def _says_it_once(self) -> Self:
        if (self.weights is None) == (self.temperature is None):
            raise ValueError(
                f"{'neither' if self.weights is None else 'both'} of weights and temperature given; set one, "
                f"such as {{weights: {{letters: 3, novels: 1}}}} or {{temperature: 3}}"
            )
        return self
