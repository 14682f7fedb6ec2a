"""Rotary position embedding (Su et al. 2021), in Llama's half-split layout.

Number i of a head is paired with number i + K/2 (not with its neighbour, as in the paper): weights that were
trained with the other pairing load without a complaint and are wrong.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # a table first made while sampling must serve training, too
def rotary_angles(num_positions: int, head_width: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines of every position and pair, each (num_positions, K/2), float32.

    Pair i of a token at position t turns by t / theta^(2i/K). The tables are shared: do not write to them.
    """
    exponents = torch.arange(0, head_width, 2, dtype=torch.int64).float() / head_width
    frequencies = 1.0 / theta**exponents  # (K/2,)
    angles = torch.arange(num_positions, dtype=torch.int64).float()[:, None] * frequencies  # (T, K/2)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn each pair of numbers by its position's angle: (B, T, H, K) with tables (T, K/2) -> same shape."""
    first, second = x.chunk(2, dim=-1)  # each (B, T, H, K/2)
    cosine, sine = cosine[:, None, :], sine[:, None, :]
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
