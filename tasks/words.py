"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 90:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def size(number: float) -> str:
    """`640 B`, `3.1 kB`, `24 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 9.95 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"


def count(number: int, thing: str) -> str:
    """`1 step`, `3 steps`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def mixture(facts: Mapping[str, Any]) -> str:
    """What a model sees of each source: `letters 75.0%, 1.2 epochs; novels 25.0%, 0.3 epochs`, or nothing."""
    epochs = {name.removesuffix("_epochs"): facts[name] for name in facts if name.endswith("_epochs")}
    total = sum(facts[f"{name}_tokens"] for name in epochs)
    shares = {name: facts[f"{name}_tokens"] / total for name in epochs}
    return "; ".join(f"{name} {shares[name]:.1%}, {times(number)} epochs" for name, number in epochs.items())


def times(number: float) -> str:
    """`0.031`, `1.2`, `12`, `1,234`."""
    return f"{number:.2g}" if number < 10 else f"{number:,.0f}"


def interval(entry: Mapping[str, float | None], digits: int, *, signed: bool = False) -> str:
    """`1.42 (1.38 to 1.46)`; the value alone where there are no bounds."""
    form = f"{'+' if signed else ''}.{digits}f"
    text = format(entry["value"], form)
    if entry.get("low") is None or entry.get("high") is None:
        return text
    return f"{text} ({entry['low']:{form}} to {entry['high']:{form}})"
