"""The gate: of several models, the one that did best on the validation side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lmcore.lineage import Facts
from tasks.artifacts import Checkpoint, Choice, Report
from tasks.engine.step import Build, Forecast, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    return Forecast(seconds=0.3, memory=5e7, disk=2e3)


@step(makes=Choice, forecast=_forecast)
def choose_model(
    build: Build,
    candidates: Sequence[Checkpoint],
    report: Report,
    called: tuple[str, ...],
    *,
    name: str,
) -> Facts:
    """Take the best candidate (`called` names them as the report does), and say whether that is noise."""
    from lmcore.evaluate.choice import choose

    choice = choose(build.path(report), called)
    (build.folder / "choice.json").write_text(json.dumps(choice, indent=1, sort_keys=True) + "\n")
    build.say(choice["sentence"])
    return {"chosen": choice["chosen"], "verdict": choice["verdict"], "sentence": choice["sentence"]}
