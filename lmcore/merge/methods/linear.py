"""A weighted average: a model soup."""

from __future__ import annotations

from collections.abc import Sequence

from lmcore.merge.elementwise import elementwise, weighted_sum
from lmcore.merge.methods import Tensor, methods, one_each


@methods.register
def merge_linear(
    base: Tensor | None,
    parents: Sequence[Tensor],
    name: str,
    *,
    weights: tuple[float, ...] | None = None,
    normalize: bool = True,
) -> Tensor:
    """Average the parents (Wortsman et al. 2022, uniform soup); a base is not part of it.

    `weights` has a number for each parent, 1 for each by default. With `normalize` they are divided by their
    sum, so that 1, 1 means halves; without it they stand as they are, so that 1, 1 is a sum.

    Raises:
        ValueError: the number of weights is wrong, or they sum to 0 and cannot be normalized.
    """
    shares = one_each(weights, parents)
    if normalize:
        if sum(shares) == 0:
            raise ValueError(f"weights {shares} sum to 0; give others, or set normalize to false")
        shares = [share / sum(shares) for share in shares]
    return elementwise(lambda *stretch: weighted_sum(shares, stretch), *parents)
