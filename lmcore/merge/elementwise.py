"""Formulas over tensors of one shape, a stretch at a time: no copy of a whole tensor is ever made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

STRETCH = 1 << 16
"""Weights at a time: few enough for a processor's caches, which makes it several times faster."""


def stretches(*tensors: Tensor) -> Iterator[list[Tensor]]:
    """The same stretch of each tensor, (C,) float32, from their first weights to their last."""
    import torch

    for stretch in zip(*(torch.split(tensor.reshape(-1), STRETCH) for tensor in tensors), strict=True):
        yield [part.float() for part in stretch]


def elementwise(formula: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """`formula` of the tensors, asked for one stretch after the other, as float32 in their shape.

    A formula that adds up may return float64: it is rounded once, here, so that what cancels out on paper
    cancels out to the last bit.
    """
    import torch

    merged = torch.empty(tensors[0].shape, dtype=torch.float32)
    for into, stretch in zip(torch.split(merged.view(-1), STRETCH), stretches(*tensors), strict=True):
        into.copy_(formula(*stretch))
    return merged


def weighted_sum(weights: Sequence[float], stretch: Sequence[Tensor]) -> Tensor:
    """The sum of weights times tensors, (C,) float64."""
    total = stretch[0].double().mul_(weights[0])
    for weight, tensor in zip(weights[1:], stretch[1:], strict=True):
        total.add_(tensor, alpha=weight)
    return total
