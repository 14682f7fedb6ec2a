"""From values to positions, and the round numbers to mark on the way."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A straight line from [low, high] to [start, end]; `start` may be the greater (y grows downwards)."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Multiples of 1, 2 or 5 times a power of ten that lie inside, about so many."""
        step = _round_step((self.high - self.low) / max(about, 1))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [float(f"{index * step:.12g}") for index in range(first, last + 1)]

    def labels(self, about: int = 5, signed: bool = False) -> list[tuple[float, str]]:
        """(position, words) of each tick, all with as many decimals as their distance asks for."""
        values = self.ticks(about)
        step = values[1] - values[0] if len(values) > 1 else self.high - self.low
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        return [(self(value), _label(value, decimals, signed)) for value in values]


def spanning(values: Iterable[float | None], start: float, end: float, *, margin: float = 0.05) -> Scale:
    """A scale on which all values lie, with a margin (a share of their span) on both sides.

    Raises:
        ValueError: there is no finite value.
    """
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        raise ValueError("no finite value to draw; expected at least one")
    low, high = min(finite), max(finite)
    room = (high - low) * margin or abs(high) * margin or 1.0
    return Scale(low - room, high + room, start, end)


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def _label(value: float, decimals: int, signed: bool) -> str:
    if not value:
        return "0"
    words = f"{value:+,.{decimals}f}" if signed else f"{value:,.{decimals}f}"
    return words.replace("-", "−")
