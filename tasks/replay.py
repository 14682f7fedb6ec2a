"""The first steps of a training once more, held against what the product's own run has measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lmcore.lineage import Facts
from tasks.engine.compared import first_in_records, read_records
from tasks.engine.step import Build, Replayed
from tasks.executed import read_executed
from tasks.subprocesses import EXECUTED

STEPS = 20
METRICS = "metrics.jsonl"


def replay_training(make: Callable[[Build], Facts], build: Build, product: Path, **_: Any) -> Replayed | None:
    """Run the first optimizer steps of a training again; what it measured has to agree in all digits.

    Changes of code that these steps do not run (looks at the validation side, saving) are not proved by them.
    A training that is not longer gives None: all of it is to be made again.
    """
    was = read_records(product / METRICS)
    if len(was) <= STEPS:
        return None

    def progress(told: Mapping[str, Any]) -> None:
        build.on_progress({**told, "total": STEPS} if "total" in told else told)

    make(replace(build, stop_after=STEPS, on_progress=progress))
    now = read_records(build.folder / METRICS)
    different = first_in_records(was[:STEPS], now[:STEPS])
    file = build.folder / EXECUTED
    return Replayed(
        f"replayed {STEPS} steps", different, read_executed(file).misses if file.exists() else None
    )
