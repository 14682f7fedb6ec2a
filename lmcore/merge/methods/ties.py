"""The largest changes of each model, where the models agree on a direction."""

from __future__ import annotations

from collections.abc import Sequence

from lmcore.merge.elementwise import elementwise
from lmcore.merge.methods import Share, Tensor, base_of, methods, one_each
from lmcore.merge.sign_vote import agreed
from lmcore.merge.trim import Trim


@methods.register
def merge_ties(
    base: Tensor | None,
    parents: Sequence[Tensor],
    name: str,
    *,
    density: Share = 0.2,
    weights: tuple[float, ...] | None = None,
    scale: float = 1.0,
    normalize: bool = True,
) -> Tensor:
    """Trim each change, elect a sign for each weight, average those that agree (Yadav et al. 2023).

    Of each parent's change the share `density` that is largest by size stays, see `trim.py`. The elected sign
    is that of the sum of weight x change, + where the sum is 0. The mean of the changes with that sign,
    weighted by the sizes of their weights, is added to the base `scale` (the paper's lambda) times; without
    `normalize` it is their sum. A parent that was trimmed at a weight neither votes nor counts there. Trimmed
    per weight matrix, as is usual, where the paper trims the model as a whole.

    Raises:
        ValueError: there is no base, or the number of weights is wrong.
    """
    base = base_of(base)
    shares = one_each(weights, parents)
    trims = [Trim(base, parent, density) for parent in parents]

    def formula(start: Tensor, *ends: Tensor) -> Tensor:
        changes = [trim(end.double() - start) for trim, end in zip(trims, ends, strict=True)]
        return agreed(changes, shares, normalize).mul_(scale).add_(start)

    return elementwise(formula, base, *parents)
