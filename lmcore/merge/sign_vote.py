"""The vote of TIES: for each weight, what the models that agree on a direction say together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def agreed(changes: Sequence[Tensor], weights: Sequence[float], normalize: bool) -> Tensor:
    """Sum (with `normalize`, mean) of weight x change over the models with the elected sign, (C,) float64.

    The elected sign is that of the sum over all models, + where it is 0. The mean divides by the sizes of the
    weights of those that agree, so that a negative weight turns its model's change around; it is 0 where no
    model has a change.
    """
    import torch

    # Masks cost four times as much as sums, so: those above 0 add up to (total + size) / 2, and those below
    # it to (total - size) / 2.
    total, size, balance, present = torch.zeros(4, len(changes[0]), dtype=torch.float64)  # (C,) each
    for change, weight in zip(changes, weights, strict=True):
        weighted = change.double() * weight
        total += weighted
        size += weighted.abs()
        if normalize:
            sign = weighted.sign_()
            balance.add_(sign, alpha=abs(weight))
            present.add_(sign.abs_(), alpha=abs(weight))
    elected = torch.copysign(size, total).add_(total).div_(2)
    if not normalize:
        return elected
    winner = torch.copysign(torch.ones_like(total), total)
    voters = present.add_(balance.mul_(winner)).div_(2)
    return elected.div_(voters.clamp_(min=torch.finfo(torch.float64).tiny))
