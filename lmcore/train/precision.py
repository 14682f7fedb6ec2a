"""Mixed precision: float32 master weights, and the copy that is computed with."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from lmcore.models.transformer import Transformer
from lmcore.runtime import Precision


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights that training moves, by name: those that require a gradient; the others are frozen."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


class WorkingModel:
    """The model that forward and backward passes run on: the master itself, or a bfloat16 copy of it.

    Whole copies beat autocast: weights are cast once a step, not once a pass, and the residual stream takes
    half the memory traffic. Small updates survive because the master stays float32. Frozen weights are cast
    once for all.
    """

    def __init__(self, master: Transformer, precision: Precision) -> None:
        self.master = master
        self.model = master if precision == "fp32" else copy.deepcopy(master).to(torch.bfloat16)
        self.weights: list[Tensor] = list(trained(self.model).values())
        self._sources = list(trained(master).values())

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the master's weights after an optimizer step."""
        if self.model is not self.master:
            for weight, source in zip(self.weights, self._sources, strict=True):
                weight.copy_(source)
