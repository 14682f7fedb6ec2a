"""How to draw tokens from a model's distribution."""

from __future__ import annotations

from pydantic import Field

from lmcore.config import Config


class SamplingConfig(Config):
    """How to draw each token; the defaults take the likeliest one."""

    temperature: float = Field(0.0, ge=0)
    """0 takes the likeliest token; 1 draws from the model's own distribution; higher is more varied."""

    top_k: int | None = Field(None, ge=1)
    """Draw only from so many likeliest tokens; null from all."""

    top_p: float | None = Field(None, gt=0, le=1)
    """Draw only from the smallest set of tokens with at least this probability; null from all."""

    repetition_penalty: float = Field(1.0, gt=0)
    """Divides the logits of tokens seen before; 1 leaves them."""

    presence_penalty: float = 0.0
    """Subtracted from the logits of tokens seen before; 0 leaves them."""

    frequency_penalty: float = 0.0
    """Subtracted from a token's logit each time that it was seen; 0 leaves it."""

    seed: int = Field(0, ge=0)
    """Chooses the draws."""
