"""From one model to another along an arc."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from lmcore.merge.elementwise import elementwise, stretches, weighted_sum
from lmcore.merge.methods import Tensor, methods

NEARLY_PARALLEL = 0.9995
"""Cosine from which the arc is taken for a line: sin(angle) stands in a denominator."""


@methods.register
def merge_slerp(
    base: Tensor | None,
    parents: Sequence[Tensor],
    name: str,
    *,
    t: Annotated[float, Field(ge=0, le=1)] = 0.5,
) -> Tensor:
    """Go the share `t` of the way from the first parent to the second along a great circle (Shoemake 1985).

    [sin((1 - t) a) first + sin(t a) second] / sin(a), where a is the angle between the two as whole vectors:
    vectors of one length keep it, where a straight line would cut the corner. Where they are parallel or
    opposite (|cosine| above 0.9995), or one is 0, there is no arc to speak of and it is the straight line;
    models finetuned from one base mostly are that near to each other. A base is not part of it.

    Raises:
        ValueError: there are not exactly two parents.
    """
    if len(parents) != 2:
        raise ValueError(f"it goes from one model to another, got {len(parents)} parents; expected exactly 2")
    shares = _shares(_cosine(*parents), t)
    return elementwise(lambda *stretch: weighted_sum(shares, stretch), *parents)


def _shares(cosine: float, t: float) -> list[float]:
    if abs(cosine) > NEARLY_PARALLEL:
        return [1 - t, t]
    angle = math.acos(cosine)
    return [math.sin((1 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)]


def _cosine(first: Tensor, second: Tensor) -> float:
    """1 where one of them is 0."""
    dot = first_square = second_square = 0.0
    for stretch in stretches(first, second):
        one, other = (tensor.double() for tensor in stretch)
        dot += one.dot(other).item()
        first_square += one.dot(one).item()
        second_square += other.dot(other).item()
    length = math.sqrt(first_square) * math.sqrt(second_square)
    return dot / length if length else 1.0
