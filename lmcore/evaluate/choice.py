"""The best of several models by a report on the validation side, and whether it could be noise.

Choosing the best of many by one look flatters the best: its score here is not what it will have on new text.
That is why the test side is read after the choice, and not for it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lmcore.evaluate.bootstrap import paired_difference

Entry = Mapping[str, float | None]


class Marks(NamedTuple):
    """What a report says of each model, in one number."""

    metric: str
    is_lower_better: bool
    values: dict[str, float]
    difference: Callable[[str, str], Entry]
    """The first model's number less the second's, with its interval over documents; paired."""


def choose(report: Path, called: Sequence[str]) -> dict[str, Any]:
    """The best of the models `called`, by the `comparison.json` or `exam.json` in a report's folder.

    Returns:
        chosen, index (in `called`), metric, values, runner_up, difference (best less runner-up, with its
        interval), verdict (`better` than the runner-up, `cannot tell`, or `only one`), and a sentence that
        says it.

    Raises:
        ValueError: the folder holds no such report, it was not made on the validation side, or a model is
            missing in it.
    """
    marks = _read(report)
    if missing := [name for name in called if name not in marks.values]:
        raise ValueError(f"{report} has no score of '{missing[0]}'; it scores {', '.join(marks.values)}")
    # Of equal models the one that was named first: the simplest, by convention.
    order = sorted(called, key=lambda name: marks.values[name] * (1 if marks.is_lower_better else -1))
    best, second = order[0], order[1] if len(order) > 1 else None
    difference = marks.difference(best, second) if second else None
    is_certain = _is_certain(difference, marks.is_lower_better)
    verdict = "only one" if second is None else "better" if is_certain else "cannot tell"
    return {
        "chosen": best,
        "index": list(called).index(best),
        "metric": marks.metric,
        "is_lower_better": marks.is_lower_better,
        "values": {name: marks.values[name] for name in called},
        "runner_up": second,
        "difference": difference,
        "verdict": verdict,
        "sentence": _sentence(marks, best, second, difference, verdict),
    }


def _read(report: Path) -> Marks:
    for file, read in (("comparison.json", _of_comparison), ("exam.json", _of_exam)):
        if (report / file).is_file():
            document = json.loads((report / file).read_bytes())
            if document["side"] != "validation":
                raise ValueError(
                    f"{report} is of the side '{document['side']}'; models are chosen on the validation side"
                )
            return read(document, report)
    raise ValueError(f"{report} holds no comparison.json and no exam.json to choose by")


def _of_comparison(document: Mapping[str, Any], report: Path) -> Marks:
    values = {name: told["all"]["bits_per_byte"]["value"] for name, told in document["models"].items()}
    return Marks("bits per byte", True, values, partial(_compared, report))


def _compared(report: Path, first: str, second: str) -> Entry:
    """Bits per byte of one model less another's, from the nats of each document."""
    import pyarrow.parquet as pq

    table = pq.read_table(report / "documents.parquet", columns=["model", "nats", "bytes"]).to_pydict()
    rows = list(zip(table["model"], table["nats"], table["bytes"], strict=True))
    bits = {
        name: [nats / math.log(2) for model, nats, _ in rows if model == name] for name in (first, second)
    }
    num_bytes = [size for model, _, size in rows if model == first]
    return paired_difference(np.array(bits[first]), np.array(bits[second]), np.array(num_bytes))._asdict()


def _of_exam(document: Mapping[str, Any], report: Path) -> Marks:
    choice = document["choice"]
    values = {name: told["value"] for name, told in choice["scores"].items()}
    return Marks(choice["metric"], False, values, partial(_examined, choice["differences"]))


def _examined(differences: Mapping[str, Entry], first: str, second: str) -> Entry:
    """The first less the second, whichever way round the report has it."""
    if found := differences.get(f"{first} - {second}"):
        return found
    other = differences[f"{second} - {first}"]
    turned = {"value": other["value"], "low": other["high"], "high": other["low"]}
    return {name: None if value is None else -value for name, value in turned.items()}


def _is_certain(difference: Entry | None, is_lower_better: bool) -> bool:
    """Whether the interval lies wholly on the better side of 0."""
    if difference is None or difference["low"] is None or difference["high"] is None:
        return False
    return difference["high"] < 0 if is_lower_better else difference["low"] > 0


def _sentence(marks: Marks, best: str, second: str | None, difference: Entry | None, verdict: str) -> str:
    score = f"{best} has {marks.values[best]:.3f} ({marks.metric}, validation side)"
    if second is None or difference is None:
        return f"{score}; there was nothing else to choose from"
    if difference["value"] == 0:
        return f"{score}, and so has {second}; the first of them was taken"
    told = f"{difference['value']:+.3f}"
    if difference["low"] is not None:
        told += f", 95 % {difference['low']:+.3f} to {difference['high']:+.3f}"
    beside = f"the next is {second} with {marks.values[second]:.3f} ({told})"
    noise = "" if verdict == "better" else "; that difference may be noise"
    return f"{score}; {beside}{noise}"
