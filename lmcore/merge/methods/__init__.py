"""One way of merging a file: `method(base, parents, name, *, dials) -> merged`.

A method is a pure function of one weight of every model: `base` is that of the model which the parents were
finetuned from, or None; `parents` are those of the models to merge, in order; `name` is the weight's name.
All have one shape and a floating dtype; what comes out is float32 in that shape. A method merges each weight
by itself, an embedding as one whole: rows are not treated apart. It raises ValueError for a number of parents
or a missing base that it cannot do with; weights that are no floating-point numbers never reach it.

Torch is not imported here: a plan reads the dials from the signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from lmcore.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor as Tensor
else:
    Tensor = Any

Share = Annotated[float, Field(gt=0, le=1)]
"""A share of a whole, above 0."""

methods: Registry[Callable[..., Tensor]] = Registry("merge method", "lmcore.merge.methods")


def one_each(weights: Sequence[float] | None, parents: Sequence[Tensor]) -> list[float]:
    """The weight of each parent, 1 where none are given.

    Raises:
        ValueError: their number is another.
    """
    if weights is None:
        return [1.0] * len(parents)
    if len(weights) != len(parents):
        raise ValueError(
            f"got {len(weights)} weights for {len(parents)} parents; give one for each, in their order"
        )
    return list(weights)


def base_of(base: Tensor | None) -> Tensor:
    """The base, for a method that measures changes from it.

    Raises:
        ValueError: there is none.
    """
    if base is None:
        raise ValueError("it needs a base, got none; name the model that the parents were finetuned from")
    return base
