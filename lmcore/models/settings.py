"""What a model is made of. The vocabulary's size comes from the tokenizer when the model is built."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from lmcore.config import Config


def _default_hidden_width(fields: dict[str, Any]) -> int:
    """Eight thirds of the width, so that SwiGLU's three matrices cost what 4x with two would, up to a 32."""
    return -(-fields["width"] * 8 // (3 * 32)) * 32


class TransformerConfig(Config):
    """A decoder of the Llama family: pre-norm, rotary positions, grouped-query attention, SwiGLU."""

    type: Literal["transformer"] = "transformer"

    width: int = Field(192, ge=2)
    """Numbers per token in the residual stream."""

    num_layers: int = Field(4, ge=1)
    """Blocks of attention and feed-forward, one after the other."""

    num_heads: int = Field(4, ge=1)
    """Attention heads; each works on width / num_heads numbers."""

    num_key_value_heads: int = Field(default_factory=lambda fields: fields["num_heads"], ge=1)
    """Heads that keep keys and values; fewer than num_heads makes the cache smaller. Default: num_heads."""

    hidden_width: int = Field(default_factory=_default_hidden_width, ge=1)
    """Numbers per token inside the feed-forward. Default: 8/3 of the width, up to a multiple of 32."""

    context_tokens: int = Field(256, ge=2)
    """The longest stretch of text that the model is trained on."""

    rope_theta: float = Field(10_000.0, gt=0)
    """The base of the rotary wavelengths; larger reaches further."""

    norm_epsilon: float = Field(1e-5, gt=0)
    """Added to the mean square inside RMSNorm's root."""

    is_tied: bool = True
    """The output layer shares the embedding's matrix, which saves vocab_size * width parameters."""

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> Self:
        if self.width % (2 * self.num_heads):
            raise ValueError(
                f"width {self.width} over num_heads {self.num_heads} gives no even head width, "
                f"and rotary positions turn pairs; choose a width that is a multiple of {2 * self.num_heads}"
            )
        if self.num_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_key_value_heads {self.num_key_value_heads} does not divide num_heads {self.num_heads}; "
                f"choose one of {[n for n in range(1, self.num_heads + 1) if self.num_heads % n == 0]}"
            )
        return self

    @property
    def head_width(self) -> int:
        """Numbers per token and head."""
        return self.width // self.num_heads

    def num_parameters(self, vocab_size: int) -> int:
        """How many numbers training adjusts, in closed form; tied weights count once."""
        embeddings = vocab_size * self.width * (1 if self.is_tied else 2)
        attention = self.width * self.head_width * 2 * (self.num_heads + self.num_key_value_heads)
        feed_forward = 3 * self.width * self.hidden_width
        norms = (2 * self.num_layers + 1) * self.width
        return embeddings + self.num_layers * (attention + feed_forward) + norms
