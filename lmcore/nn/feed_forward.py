"""The gated feed-forward layer SwiGLU (Shazeer 2020)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class FeedForward(nn.Module):
    """Each token on its own: widen twice, let one half gate the other, narrow again."""

    def __init__(self, width: int, hidden_width: int) -> None:
        super().__init__()
        self.to_gate_and_up = nn.Linear(width, 2 * hidden_width, bias=False)
        self.to_out = nn.Linear(hidden_width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        gate, up = self.to_gate_and_up(x).chunk(2, dim=-1)  # each (B, T, F)
        narrowed: Tensor = self.to_out(F.silu(gate) * up)
        return narrowed
