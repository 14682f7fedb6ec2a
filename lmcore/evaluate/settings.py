"""What an evaluation measures, and how."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from lmcore.config import Config
from lmcore.runtime import resolve_device, resolve_precision


class EvaluateConfig(Config):
    """How to score a model on the test side, and what to let it write."""

    context_tokens: int | None = Field(None, ge=1)
    """How many tokens the model looks back at most; None: as many as it was trained on."""
    stride: int | None = Field(None, ge=1)
    """How far the window moves: smaller gives each token more context, lower perplexity and more work.

    None: half of the context.
    """
    num_resamples: int = Field(1_000, ge=1)
    """Bootstrap resamples behind each 95 % interval."""
    seed: int = Field(0, ge=0)
    """Of the resampling and of the samples drawn."""
    prompts: tuple[str, ...] = ("The", "She said", "In the beginning")
    """What the model is asked to go on from, once greedily and once by chance."""
    sample_tokens: int = Field(64, ge=1)
    """Tokens written after each prompt."""
    temperature: float = Field(0.8, gt=0)
    """Of the samples drawn by chance; the greedy ones have none."""
    precision: Literal["auto", "bf16", "fp32"] = "fp32"
    """fp32 gives the same digits on more machines; bf16 is faster where the processor has it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute: `auto` takes a GPU if there is one."""

    @model_validator(mode="after")
    def _stride_fits(self) -> Self:
        if self.context_tokens and self.stride and self.stride > self.context_tokens:
            raise ValueError(
                f"stride {self.stride} is more than context_tokens {self.context_tokens}, so that "
                "tokens would be skipped: take a stride of at most the context"
            )
        return self

    def resolved(self) -> Self:
        """The same settings with this machine's device and precision in place of `auto`."""
        device = resolve_device(self.device)
        return self.model_copy(
            update={"device": device, "precision": resolve_precision(self.precision, device)}
        )
