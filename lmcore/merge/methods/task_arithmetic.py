"""What finetuning changed, added up."""

from __future__ import annotations

from collections.abc import Sequence

from lmcore.merge.elementwise import elementwise, weighted_sum
from lmcore.merge.methods import Tensor, base_of, methods, one_each


@methods.register
def merge_task_arithmetic(
    base: Tensor | None,
    parents: Sequence[Tensor],
    name: str,
    *,
    weights: tuple[float, ...] | None = None,
    scale: float = 1.0,
) -> Tensor:
    """Add every parent's change to the base (Ilharco et al. 2023): base + scale x sum of weight x change.

    `weights` has a number for each parent, 1 for each by default, and is never normalized: two parents of
    weight 1 add up to both changes in full. A negative weight takes a skill away. `scale` is the paper's
    lambda.

    Raises:
        ValueError: there is no base, or the number of weights is wrong.
    """
    factors = [scale * weight for weight in one_each(weights, parents)]
    # Base and changes in one sum: a change that is added in full restores its parent to the bit.
    shares = [1 - sum(factors), *factors]
    return elementwise(lambda *stretch: weighted_sum(shares, stretch), base_of(base), *parents)
