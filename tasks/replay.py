"""The first steps of a training once more, held against what the product's own run has measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lmcore.lineage import Facts
from tasks.engine.compared import first_in_records, read_records
from tasks.engine.step import Build, Replayed

STEPS = 20
METRICS = "metrics.jsonl"


def replay_training(make: Callable[[Build], Facts], build: Build, product: Path, **_: Any) -> Replayed | None:
    """Run the first optimizer steps of a training again; what it measured has to agree in all digits.

    What comes after these steps (looks at the validation side, saving) is not replayed. A training that is
    not longer gives None: all of it is to be made again.
    """
    was = read_records(product / METRICS)
    if len(was) <= STEPS:
        return None
    make(replace(build, stop_after=STEPS))
    now = read_records(build.folder / METRICS)
    return Replayed(f"replayed {STEPS} steps", first_in_records(was[:STEPS], now[:STEPS]))
