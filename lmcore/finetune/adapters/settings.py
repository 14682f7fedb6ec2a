"""What a low-rank adapter changes, and how strongly."""

from __future__ import annotations

import math
from typing import Literal, get_args

from pydantic import Field, field_validator

from lmcore.config import Config
from lmcore.models.settings import TransformerConfig

Target = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TARGETS: tuple[Target, ...] = get_args(Target)


class LoraConfig(Config):
    """Low-rank adaptation (Hu et al. 2021): W is frozen, and the trained scale * B A is added to it."""

    rank: int = Field(16, ge=1)
    """Rows of A and columns of B: no change of a matrix has a higher rank."""

    alpha: float = Field(32.0, gt=0)
    """Strength of the change, which is multiplied by alpha / rank."""

    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the numbers that A reads as 0, drawn anew for each pass in training only."""

    targets: tuple[Target, ...] = Field(TARGETS, min_length=1)
    """The matrices that are adapted in every block, by their names in Llama."""

    use_rslora: bool = False
    """Multiply by alpha / sqrt(rank) instead, so that a high rank does not learn more slowly than a low one
    (Kalajdzievski 2023)."""

    @field_validator("targets")
    @classmethod
    def _in_one_order(cls, given: tuple[Target, ...]) -> tuple[Target, ...]:
        """The same set of targets is the same setting, whatever order it is written in."""
        return tuple(target for target in TARGETS if target in given)

    @property
    def scale(self) -> float:
        """What B A is multiplied by."""
        return self.alpha / (math.sqrt(self.rank) if self.use_rslora else self.rank)

    def num_parameters(self, model: TransformerConfig, num_token_ids: int = 0) -> int:
        """How many numbers training adjusts, in closed form.

        A token's row is one of the embedding, and one more of an output layer that is not tied to it.
        """
        shapes = target_shapes(model)
        block = sum(low_rank_parameters(self.rank, *shapes[target]) for target in self.targets)
        return model.num_layers * block + num_token_ids * model.width * (1 if model.is_tied else 2)


def low_rank_parameters(rank: int, num_inputs: int, num_outputs: int) -> int:
    """Numbers in A (rank, num_inputs) and B (num_outputs, rank)."""
    return rank * (num_inputs + num_outputs)


def target_shapes(model: TransformerConfig) -> dict[Target, tuple[int, int]]:
    """Inputs and outputs of each matrix that can be adapted."""
    width, hidden = model.width, model.hidden_width
    key_value_width = model.num_key_value_heads * model.head_width
    return {
        "q_proj": (width, width),
        "k_proj": (width, key_value_width),
        "v_proj": (width, key_value_width),
        "o_proj": (width, width),
        "gate_proj": (width, hidden),
        "up_proj": (width, hidden),
        "down_proj": (hidden, width),
    }
