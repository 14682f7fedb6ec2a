"""Mixed precision: float32 master weights, and the copy that is computed with."""

from __future__ import annotations

import copy

import torch

from lmcore.models.transformer import Transformer
from lmcore.runtime import Precision


class WorkingModel:
    """The model that forward and backward passes run on: the master itself, or a bfloat16 copy of it.

    Whole copies beat autocast: weights are cast once a step, not once a pass, and the residual stream takes
    half the memory traffic. Small updates survive because the master stays float32.
    """

    def __init__(self, master: Transformer, precision: Precision) -> None:
        self.master = master
        self.model = master if precision == "fp32" else copy.deepcopy(master).to(torch.bfloat16)
        self.weights = list(self.model.parameters())

    @torch.no_grad()
    def refresh(self) -> None:
        """Take over the master's weights after an optimizer step."""
        if self.model is not self.master:
            for weight, source in zip(self.weights, self.master.parameters(), strict=True):
                weight.copy_(source)
