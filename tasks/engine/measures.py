"""What steps took here before, to predict what they will take.

A measure sets what a call took beside what was nominally expected of it. A prediction is the nominal value of
the new call, corrected by the measure of the latest call of a like size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lmcore.lineage import Manifest
from tasks.engine.session import Session
from tasks.engine.step import Forecast, Step
from tasks.engine.store import write_small
from tasks.engine.workspace import Workspace

LIKE = 4.0
"""Calls whose nominal times differ by more than this factor say little about each other."""


@dataclass(frozen=True)
class Measure:
    """What was expected of a call, and what it took."""

    nominal: Forecast
    actual: Forecast

    def is_like(self, nominal: Forecast) -> bool:
        shorter, longer = sorted((nominal.seconds, self.nominal.seconds))
        return longer <= LIKE * shorter

    def correct(self, nominal: Forecast) -> Forecast:
        """The nominal values times how far off they were."""
        was, took = asdict(self.nominal), asdict(self.actual)
        values = asdict(nominal)
        return Forecast(**{name: values[name] * took[name] / (was[name] or 1.0) for name in values})


def foresee(session: Session, step: Step[Any, Any], arguments: Mapping[str, Any]) -> tuple[Forecast, bool]:
    """What a call will take, and whether that rests on a measure made here."""
    nominal = step.forecast(arguments)
    name = arguments["name"]
    for measure in _measures(session, step.name, name):
        if measure.is_like(nominal):
            return measure.correct(nominal), True
    return nominal, False


def remember_probe(workspace: Workspace, step: str, measure: Measure) -> None:
    """Keep what a probe says of a step."""
    write_small(workspace.private / "probes" / f"{step}.json", json.dumps(asdict(measure)))


def _measures(session: Session, step: str, name: str) -> Iterator[Measure]:
    """The same call's first, then a probe's, then those of other calls of the step, latest first."""
    if (last := session.store.last(step, name)) and (measure := _of(last)):
        yield measure
    try:
        probe = json.loads((session.workspace.private / "probes" / f"{step}.json").read_text())
        yield Measure(Forecast(**probe["nominal"]), Forecast(**probe["actual"]))
    except (OSError, ValueError, TypeError, KeyError):
        pass
    for manifest in session.store.made_by(step):
        if measure := _of(manifest):
            yield measure


def _of(manifest: Manifest) -> Measure | None:
    made = manifest.provenance
    if made.get("is_resumed") or made.get("is_made_elsewhere"):  # the time of a part, or of another machine
        return None
    try:
        nominal = Forecast(**made["forecast"])
        return Measure(nominal, Forecast(made["seconds"], made["peak_memory"], manifest.size))
    except (KeyError, TypeError):
        return None
