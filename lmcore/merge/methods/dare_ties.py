"""Changes thinned out by chance, where the models agree on a direction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import Field

from lmcore.merge.elementwise import elementwise
from lmcore.merge.methods import Share, Tensor, base_of, methods, one_each
from lmcore.merge.sign_vote import agreed


@methods.register
def merge_dare_ties(
    base: Tensor | None,
    parents: Sequence[Tensor],
    name: str,
    *,
    density: Share = 0.1,
    weights: tuple[float, ...] | None = None,
    scale: float = 1.0,
    rescale: bool = True,
    normalize: bool = False,
    seed: Annotated[int, Field(ge=0)] = 0,
) -> Tensor:
    """Drop changes by chance, enlarge the rest, then elect signs as in TIES (Yu et al. 2024).

    Each change stays with probability `density` (the paper's 1 - p) and is then divided by it, so that each
    parent's expected change is its whole change; without `rescale` it stays as it is. Which ones stay depends
    on the seed, the weight's name and the parent's number alone. The elected changes are added up, not
    averaged: a mean over those that happened to stay would make up for the drop a second time.

    Raises:
        ValueError: there is no base, or the number of weights is wrong.
    """
    shares = one_each(weights, parents)
    drops = [_draw(density, f"{seed} {number} {name}") for number in range(len(parents))]
    factor = scale / density if rescale else scale

    def formula(start: Tensor, *ends: Tensor) -> Tensor:
        changes = [drop(end.double() - start) for drop, end in zip(drops, ends, strict=True)]
        return agreed(changes, shares, normalize).mul_(factor).add_(start)

    return elementwise(formula, base_of(base), *parents)


def _draw(density: float, name: str) -> Callable[[Tensor], Tensor]:
    """Sets changes to 0 by chance, stretch after stretch."""
    import numpy as np
    import torch

    if density == 1:
        return lambda change: change
    # The raw stream of a bit generator is frozen for good; what numpy or torch make of it is not.
    random = np.random.Philox(key=int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little"))
    limit = np.uint32(min(round(density * 2**32), 2**32 - 1))

    def drop(change: Tensor) -> Tensor:
        draws = random.random_raw((len(change) + 1) // 2).view("<u4")[: len(change)]
        return change * torch.from_numpy(draws < limit)

    return drop
