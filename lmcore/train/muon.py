"""Muon (Jordan et al. 2024): momentum whose update is made orthogonal, for the matrices inside the blocks.

An orthogonal update moves all directions of a matrix by the same amount; those that gradients seldom point to
are learned as fast as the others, and the same loss is reached in fewer steps than with AdamW.
"""

from __future__ import annotations

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration, chosen by its author for a steep start rather than for exact convergence."""

NUM_ITERATIONS = 5


def orthogonalize(matrix: Tensor) -> Tensor:
    """The nearest matrix with singular values near 1 (0.7 to 1.2), by Newton-Schulz: (R, C) -> (R, C)."""
    a, b, c = COEFFICIENTS
    x = matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(NUM_ITERATIONS):
        gram = x @ x.mT
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if matrix.shape[0] > matrix.shape[1] else x


def muon_direction(gradient: Tensor, momentum: Tensor, beta: float, dtype: torch.dtype) -> Tensor:
    """One matrix's step for a learning rate of 1; `momentum` is updated in place.

    Nesterov's momentum, made orthogonal in `dtype`, then scaled by 0.2 * sqrt(longer side), so that its
    numbers are as large as AdamW's and one learning rate serves both (Liu et al. 2025).
    """
    momentum.lerp_(gradient, 1 - beta)
    ahead = gradient.lerp(momentum, beta)
    return orthogonalize(ahead.to(dtype)).float() * (0.2 * max(gradient.shape) ** 0.5)
