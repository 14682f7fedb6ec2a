"""Percentile bootstrap over documents (Efron 1979): how much a score would move with other documents.

A score here is a ratio of sums, such as nats over bytes: a resample draws whole documents, since tokens of
one document are not independent. The intervals cover the choice of documents, not the seed of training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CHUNK = 4_000_000
"""Draws held in memory at a time."""


class Interval(NamedTuple):
    """A score, and where it would lie in 95 of 100 resamples; no bounds where one document stands alone."""

    value: float
    low: float | None
    high: float | None

    def map(self, function: Callable[[float], float]) -> Interval:
        """The interval of a rising function of the score."""
        return Interval(*(None if number is None else function(number) for number in self))  # type: ignore[arg-type]


def bootstrap_ratio(
    numerators: NDArray[Any],
    denominators: NDArray[Any],
    *,
    num_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """The ratio of sums over documents, with its interval.

    Args:
        numerators: one number per document, (N,), such as nats.
        denominators: one per document, (N,), such as bytes; their sum is above 0.

    Raises:
        ValueError: no documents, unequal lengths, or denominators that sum to 0.
    """
    above, below = _checked(numerators, denominators)
    value = float(above.sum() / below.sum())
    if len(above) < 2:
        return Interval(value, None, None)
    ratios = _resampled_ratios(above, below, num_resamples, seed)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def paired_difference(
    numerators: NDArray[Any],
    baseline: NDArray[Any],
    denominators: NDArray[Any],
    *,
    num_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """How much a score differs from a baseline's on the same documents, with its interval.

    What makes a document easy or hard for both falls out, so it is far narrower than two intervals apart.
    """
    difference = np.asarray(numerators, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
    return bootstrap_ratio(difference, denominators, num_resamples=num_resamples, seed=seed, level=level)


def unpaired_difference(
    first: tuple[NDArray[Any], NDArray[Any]],
    second: tuple[NDArray[Any], NDArray[Any]],
    *,
    num_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """The first score less the second, each (numerators, denominators) over documents of its own."""
    samples = [_checked(*pair) for pair in (first, second)]
    value = float(np.subtract(*(above.sum() / below.sum() for above, below in samples)))
    if min(len(above) for above, _ in samples) < 2:
        return Interval(value, None, None)
    drawn = [
        _resampled_ratios(above, below, num_resamples, 2 * seed + side)
        for side, (above, below) in enumerate(samples)
    ]
    low, high = np.quantile(drawn[0] - drawn[1], [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def bootstrap_sums(
    rows: NDArray[Any],
    score: Callable[[Floats], Floats],
    *,
    num_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Any score that is a function of sums over documents, with its interval.

    Args:
        rows: some numbers per document, (N, C).
        score: sums of the columns, (R, C), to R scores; one that is not finite counts in no interval.

    Raises:
        ValueError: no documents.
    """
    each = np.asarray(rows, dtype=np.float64)
    if each.ndim != 2 or not len(each):
        raise ValueError(f"expected some numbers per document, got the shape {each.shape}")
    value = float(score(each.sum(axis=0, keepdims=True))[0])
    if len(each) < 2:
        return Interval(value, None, None)
    random = np.random.RandomState(seed % (1 << 32))  # frozen for good, see below
    many = max(1, CHUNK // each.size)
    scores = []
    for begin in range(0, num_resamples, many):
        drawn = random.randint(0, len(each), size=(min(many, num_resamples - begin), len(each)))
        with np.errstate(divide="ignore", invalid="ignore"):
            scores.append(score(each[drawn].sum(axis=1)))
    found = np.concatenate(scores)
    found = found[np.isfinite(found)]
    if not len(found):
        return Interval(value, None, None)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def _checked(numerators: NDArray[Any], denominators: NDArray[Any]) -> tuple[Floats, Floats]:
    above, below = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    if above.shape != below.shape or above.ndim != 1 or not len(above):
        raise ValueError(
            f"expected two rows with a number per document, got shapes {above.shape} and {below.shape}"
        )
    if below.min() < 0 or below.sum() <= 0:
        raise ValueError("the denominators must not be negative, and must sum to more than 0")
    return above, below


def _resampled_ratios(above: Floats, below: Floats, num_resamples: int, seed: int) -> Floats:
    """The ratio in each resample, (num_resamples,)."""
    # The legacy generator's stream is frozen for good; that of numpy's newer ones may change with a release.
    random = np.random.RandomState(seed % (1 << 32))
    rows = max(1, CHUNK // len(above))
    ratios = []
    for begin in range(0, num_resamples, rows):
        size = (min(rows, num_resamples - begin), len(above))
        drawn = random.randint(0, len(above), size=size)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios.append(above[drawn].sum(axis=1) / below[drawn].sum(axis=1))
    result = np.concatenate(ratios)
    return result[np.isfinite(result)]
