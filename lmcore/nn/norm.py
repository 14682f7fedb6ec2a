"""Root-mean-square normalisation (Zhang & Sennrich 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """Scale each token's vector to unit root mean square, then by learned weights.

    The statistics are float32 whatever comes in (the square of 1e4 overflows float16), and the learned scale
    is applied after the cast back, as the reference implementation of Llama does.
    """

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D), in the type of `x`."""
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.epsilon)  # (..., 1)
        return (wide * scale).to(x.dtype) * self.weight.to(x.dtype)
