"""Differences with intervals in words: better, worse, or cannot tell and how much more it would take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

Word = Literal["better", "worse", "cannot tell"]
Entry = Mapping[str, float | None]
"""value, low and high; no bounds where one item stands alone."""

LOWER_IS_BETTER = ("bits_per_byte", "perplexity", "loss", "nats", "error")
"""Beginnings or ends of the names of metrics of which less is better; of all others more is."""


def is_lower_better(metric: str) -> bool:
    return any(metric.startswith(word) or metric.endswith(word) for word in LOWER_IS_BETTER)


def judge(difference: Entry, *, lower_is_better: bool) -> Word:
    """What a difference (first less second) says of the first."""
    low, high = difference.get("low"), difference.get("high")
    if low is None or high is None or low <= 0 <= high:
        return "cannot tell"
    return "better" if (high < 0) == lower_is_better else "worse"


def needed(difference: Entry, items: int) -> int | None:
    """About how many documents would tell, if the difference stays what it is.

    The interval narrows with the root of their number, until it leaves 0 out.
    """
    value, low, high = difference.get("value"), difference.get("low"), difference.get("high")
    if not value or low is None or high is None or not low <= 0 <= high:
        return None
    return max(math.ceil(items * ((high - low) / 2 / abs(value)) ** 2), items + 1)


def fixed(value: float | None, digits: int = 3) -> str:
    """`1.421`; a dash where there is no value."""
    return "–" if value is None else f"{value:,.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 3) -> str:
    """`+0.012`, `−0.003`."""
    return "–" if value is None else f"{value:+,.{digits}f}".replace("-", "−")


def bounds(entry: Entry, digits: int = 3, *, with_sign: bool = False) -> str:
    """`1.401 to 1.442`; empty where nothing is known of the spread."""
    low, high = entry.get("low"), entry.get("high")
    if low is None or high is None:
        return ""
    spell = signed if with_sign else fixed
    return f"{spell(low, digits)} to {spell(high, digits)}"


def is_entry(value: Any) -> bool:
    """Whether this is a score with its interval."""
    return isinstance(value, Mapping) and "value" in value


def listed(words: list[str], most: int | None = None) -> str:
    """`a`, `a and b`, `a, b and c`; with `most`, `a, b and 3 more`."""
    if most is not None and len(words) > most + 1:
        words = [*words[:most], f"{len(words) - most} more"]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
