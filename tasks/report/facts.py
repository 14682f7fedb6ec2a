"""What a run's page tells of: its steps, what became of them, and the files of their products."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lmcore.lineage import Manifest
from tasks.engine.artifact import is_artifact_json
from tasks.engine.plan import Line
from tasks.engine.reach import REGISTRATION
from tasks.engine.session import Outcome, Session

NOT_REACHED = "not reached"
MADE = ("built", "rebuilt")


@dataclass(frozen=True)
class StepFacts:
    """One call of a step, and its product if there is one."""

    label: str
    state: str
    """`built`, `rebuilt`, `restored`, `reused` or `not reached`."""
    why: str = ""
    needs: tuple[str, ...] = ()
    manifest: Manifest | None = None
    folder: Path | None = None
    """Where the product lies."""
    called: str | None = None
    """What a registered model is found by now, such as `demo@champion`."""

    @property
    def step(self) -> str:
        return self.label.partition(" ")[0]

    @property
    def name(self) -> str:
        return self.label.partition(" ")[2]

    @property
    def is_made(self) -> bool:
        """In this run, that is."""
        return self.state in MADE

    def cost(self, name: str) -> float:
        """What making the product took, now or then: `seconds`, `cpu_seconds`, `peak_memory`."""
        value = self.manifest.provenance.get(name) if self.manifest else None
        return float(value) if isinstance(value, int | float) else 0.0

    def has(self, file: str) -> bool:
        return bool(self.manifest and self.folder and file in self.manifest.files)

    def document(self, file: str) -> dict[str, Any]:
        """A JSON file of the product; nothing if there is none."""
        if not (self.folder and self.has(file)):
            return {}
        loaded: dict[str, Any] = json.loads((self.folder / file).read_text(encoding="utf-8"))
        return loaded

    def lines(self, file: str) -> list[dict[str, Any]]:
        """A file of JSON lines of the product; none if there is none."""
        if not (self.folder and self.has(file)):
            return []
        with (self.folder / file).open(encoding="utf-8") as rows:
            return [json.loads(row) for row in rows if row.strip()]

    def inputs(self) -> Iterator[tuple[str, str]]:
        """(parameter, name) of each product that it was made from."""
        for parameter, value in (self.manifest.inputs if self.manifest else {}).items():
            for item in value if isinstance(value, list) else [value]:
                if is_artifact_json(item):
                    yield parameter, str(item["name"])

    def settings(self) -> dict[str, Any]:
        """The settings that stand in its key."""
        document = self.manifest.key_document if self.manifest else {}
        return dict(document.get("settings", {}))


@dataclass(frozen=True)
class RunFacts:
    """One run of a flow, over."""

    flow: str
    experiment: str
    run_id: str
    finished: datetime
    seconds: float
    """On the wall."""
    steps: tuple[StepFacts, ...]

    def holding(self, file: str) -> list[StepFacts]:
        """The steps whose product has a file of this name."""
        return [step for step in self.steps if step.has(file)]

    def named(self, step: str) -> list[StepFacts]:
        """The calls of a step that have a product."""
        return [each for each in self.steps if each.step == step and each.manifest]

    @property
    def models(self) -> dict[str, StepFacts]:
        """By name, the steps whose product is a model; the later one where two share a name."""
        return {step.name: step for step in self.holding("model.safetensors")}

    def short(self, name: str) -> str:
        """Without the experiment's name in front, which says nothing on a page about that experiment."""
        for mark in ("-", "_", "/"):
            if name.startswith(self.experiment + mark):
                return name[len(self.experiment) + 1 :]
        return name


def gather(
    session: Session,
    lines: Sequence[Line],
    outcomes: Mapping[str, Outcome],
    seconds: float,
    finished: datetime,
) -> RunFacts:
    """Everything that a run's page is drawn from.

    Args:
        lines: the plan that the run followed.
        outcomes: what became of each call, by its label; a call that was not reached has none.
        seconds: how long the run took.
    """
    steps = tuple(_step(session, line, outcomes.get(line.label)) for line in lines)
    return RunFacts(session.flow, session.experiment, session.run_id, finished, seconds, steps)


def _step(session: Session, line: Line, outcome: Outcome | None) -> StepFacts:
    if outcome is None:
        return StepFacts(line.label, NOT_REACHED, line.why, line.needs)
    manifest = outcome.manifest
    home = line.address.partition("/")[0]
    # A plan may not know the key yet; data lies under its name, everything else under its key.
    address = line.address if home == "data" else f"{home}/{manifest.step}-{manifest.key[:12]}"
    why = outcome.why or line.why
    folder = session.workspace.path(address)
    called = _called(session, folder) if REGISTRATION in manifest.files else None
    return StepFacts(line.label, outcome.action, why, line.needs, manifest, folder, called)


def _called(session: Session, folder: Path) -> str | None:
    from tasks.tracking.versions import best_name

    try:
        entry = json.loads((folder / REGISTRATION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return best_name(session.workspace.root, entry["name"], entry["digest"])
