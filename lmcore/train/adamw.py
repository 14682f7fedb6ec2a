"""AdamW (Loshchilov & Hutter 2019) by torch's fused kernel, on a CPU 2.5 times faster than its default.

The kernel is called without `torch.optim`, whose first use takes a second to import a compiler.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

EPSILON = 1e-8


class AdamW:
    """Moves some weights, and remembers means of gradient and squared gradient for each."""

    def __init__(
        self, weights: Mapping[str, Tensor], betas: tuple[float, float], weight_decay: float
    ) -> None:
        """Decay takes rate * weight_decay of a weight at each step, apart from its gradient."""
        self._weights = dict(weights)
        self._betas = betas
        self._weight_decay = weight_decay
        self._means = [torch.zeros_like(weight) for weight in self._weights.values()]
        self._squares = [torch.zeros_like(weight) for weight in self._weights.values()]
        self._steps = [torch.zeros((), device=weight.device) for weight in self._weights.values()]

    @torch.no_grad()
    def update(self, gradients: Mapping[str, Tensor], rate: float) -> None:
        """Take one step; `gradients` may hold other weights' as well."""
        if not self._weights:
            return
        for step in self._steps:
            step += 1
        torch._fused_adamw_(
            list(self._weights.values()),
            [gradients[name] for name in self._weights],
            self._means,
            self._squares,
            [],
            self._steps,
            lr=rate,
            beta1=self._betas[0],
            beta2=self._betas[1],
            weight_decay=self._weight_decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def state(self) -> dict[str, Tensor]:
        """The memory itself, as named tensors: `exp_avg/<weight>`, `exp_avg_sq/<weight>`, `step/<weight>`."""
        kinds = {"exp_avg": self._means, "exp_avg_sq": self._squares, "step": self._steps}
        return {
            f"{kind}/{name}": tensor
            for kind, tensors in kinds.items()
            for name, tensor in zip(self._weights, tensors, strict=True)
        }
