"""Pure functions from logits to logits: each makes some tokens more or less likely, or impossible.

Applied in this order: repetition, presence, frequency, temperature, top-k, top-p. All take (..., V).
"""

from __future__ import annotations

import torch
from torch import Tensor

IMPOSSIBLE = -torch.inf


def scale_by_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Flatten (> 1) or sharpen (< 1) the distribution; 1 changes nothing.

    Raises:
        ValueError: temperature is not above 0 (0 means greedy, which is an argmax and no distribution).
    """
    if temperature <= 0:
        raise ValueError(f"temperature {temperature} must be above 0; choose the likeliest token for greedy")
    return logits / temperature


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Leave exactly the k largest logits (all if k >= V); of equals the lower ids stay (Fan et al. 2018).

    Raises:
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f"top_k {k} leaves no token; choose at least 1")
    order = logits.argsort(dim=-1, descending=True, stable=True)
    return logits.scatter(-1, order[..., k:], IMPOSSIBLE)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Leave the smallest set of tokens whose probabilities sum to p or more (Holtzman et al. 2020).

    The token that crosses p stays, and so does always the likeliest. Sums are float64, and a sum within 1e-9
    of p has reached it.

    Raises:
        ValueError: p is not above 0 and at most 1.
    """
    if not 0 < p <= 1:
        raise ValueError(f"top_p {p} must be above 0 and at most 1")
    ordered, order = logits.double().sort(dim=-1, descending=True, stable=True)
    probabilities = ordered.softmax(dim=-1)
    mass_before = probabilities.cumsum(dim=-1) - probabilities
    is_dropped = mass_before >= p - 1e-9
    is_dropped[..., 0] = False
    if p == 1:
        is_dropped[...] = False
    return logits.masked_fill(torch.zeros_like(is_dropped).scatter(-1, order, is_dropped), IMPOSSIBLE)


def penalize_repetition(logits: Tensor, counts: Tensor, penalty: float) -> Tensor:
    """Divide positive and multiply negative logits of tokens seen before; 1 changes nothing.

    Follows Keskar et al. 2019. `counts` (..., V): how often each token stands in the text so far.
    """
    if penalty <= 0:
        raise ValueError(f"repetition_penalty {penalty} must be above 0; 1 changes nothing")
    weaker = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(counts > 0, weaker, logits)


def penalize_presence(logits: Tensor, counts: Tensor, penalty: float) -> Tensor:
    """Subtract the same from every token seen before; 0 changes nothing."""
    return logits - penalty * (counts > 0).to(logits.dtype)


def penalize_frequency(logits: Tensor, counts: Tensor, penalty: float) -> Tensor:
    """Subtract in proportion to how often a token was seen; 0 changes nothing."""
    return logits - penalty * counts.to(logits.dtype)
