"""How much longer the challenger takes than the champion, from what `speed.measure_speed` wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FILE = Path("log") / "speed.json"
"""In the folder of a challenge, beside what every machine computes alike."""


def read_slowdown(folder: Path, models: Mapping[str, Any]) -> dict[str, Any] | None:
    """The median slowdown per byte with its interval, and the bytes a second of both; None if never measured.

    A slowdown is a share: 0.1 is a tenth longer, -0.1 shorter. The interval lies between two of the ordered
    rounds (of 25 the 8th and the 18th): the true median is between them with 95 % or more, whatever the
    distribution, since a round is above it as often as below.

    Args:
        models: of a `challenge.json`; tokens of champion and challenger may be of different length.

    Returns:
        value, low, high, champion_bytes_per_second, challenger_bytes_per_second, rounds, device.
    """
    try:
        sizes = [models[name]["bytes_per_token"] or 1.0 for name in ("champion", "challenger")]
        told = json.loads((folder / FILE).read_bytes())
        rounds = [
            [seconds / size for seconds, size in zip(each, sizes, strict=True)] for each in told["rounds"]
        ]
        slowdowns = sorted(ours / theirs - 1 for theirs, ours in rounds)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return None  # what the clock wrote may be lost or spoilt: then it is unknown
    if not slowdowns:
        return None
    rates = [told["tokens"] / _median([each[place] for each in rounds]) for place in (0, 1)]
    spare = _spare(len(slowdowns))
    return {
        "value": _median(slowdowns),
        "low": slowdowns[spare],
        "high": slowdowns[-1 - spare],
        "champion_bytes_per_second": rates[0],
        "challenger_bytes_per_second": rates[1],
        "rounds": len(slowdowns),
        "device": told.get("device", ""),
    }


def _median(values: Sequence[float]) -> float:
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _spare(number: int) -> int:
    """How many rounds lie outside of the interval on each side, so that it covers 95 % or more."""

    def outside(spare: int) -> float:
        return 2 * sum(math.comb(number, few) for few in range(spare + 1)) / 2**number

    return max((spare for spare in range(number // 2) if outside(spare) <= 0.05), default=0)
