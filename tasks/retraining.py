"""Asking for a retraining, once for the same data: an event to Prefect, where `lm up` serves."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.engine.workspace import Workspace

DATA_CHANGED = "lmworks.data.changed"
FLOW = "release"
PATIENCE_SECONDS = 60.0
"""An event takes a moment to become a run."""
MOST_TRIES = 3
"""How often a retraining is asked for on the same data; what failed so often needs somebody to look."""


def ask_for_retraining(workspace: Workspace, experiment: str, entry: Mapping[str, Any]) -> list[str]:
    """Start the release of an experiment by an event if its data changed enough; says what came of it.

    Not if a version was trained on just this data, if a run of it waits already, or if it was asked for
    three times in vain.

    Args:
        entry: the `changes.json` of a comparison.
    """
    by_hand = f"lm {FLOW} {experiment}"
    if entry["champion"] is None:
        return [f"the first one is made by: {by_hand}"]
    if not entry["is_enough"]:
        return []
    if told := _trained_already(workspace, entry):
        return [told]
    api = _api(workspace)
    if api is None:
        return [f"nobody serves here that could start it (lm up would); by hand: {by_hand}"]
    if any(run["parameters"].get("experiment") == experiment for run in _waiting(api)):
        return ["a retraining is asked for already and has not ended yet"]
    tries, seconds = _tries(workspace, experiment, entry["data"])
    if seconds < PATIENCE_SECONDS:
        return ["a retraining was asked for a moment ago"]
    if tries >= MOST_TRIES:
        return [f"asked for {tries} times on this data, and no version came of it; look why: {by_hand}"]
    _note(workspace, experiment, entry["data"], tries + 1)
    payload = {"experiment": experiment, "data": entry["data"], "why": entry["sentence"]}
    api.emit(DATA_CHANGED, f"lmworks.experiment.{experiment}", payload)
    return [f"asked for a retraining: the event {DATA_CHANGED} starts {FLOW} {experiment}"]


def _trained_already(workspace: Workspace, entry: Mapping[str, Any]) -> str | None:
    """Of two models the one that is registered last tells whether both were trained."""
    from tasks.tracking.versions import versions

    trained = [each for each in versions(workspace.root, entry["trains"]) if each.data == entry["data"]]
    if not trained:
        return None
    last = trained[-1]
    return f"v{last.version} was trained on just this data already; see: lm history {last.name}"


def _api(workspace: Workspace) -> Any:
    """The server that `lm up` serves, if it does."""
    from tasks.engine.prefect_api import PrefectApi
    from tasks.engine.supervisor import read_state

    state = read_state(workspace)
    return PrefectApi(state["prefect"]) if state.get("ready") else None


def _waiting(api: Any) -> list[dict[str, Any]]:
    from tasks.engine.prefect_api import UNDER_WAY

    deployment = api.deployment(FLOW)
    if deployment is None:
        return []
    # Runs that a schedule will start some day are no answer to what changed today.
    runs: list[dict[str, Any]] = api.runs(
        (*UNDER_WAY, "SCHEDULED"), deployment_id={"any_": [deployment["id"]]}, limit=50
    )
    return [run for run in runs if run["state_type"] != "SCHEDULED" or not run["auto_scheduled"]]


def _file(workspace: Workspace, experiment: str) -> Path:
    return workspace.private / "watch" / f"{experiment}.json"


def _tries(workspace: Workspace, experiment: str, data: str) -> tuple[int, float]:
    """How often a retraining on this data was asked for, and how many seconds ago."""
    try:
        told = json.loads(_file(workspace, experiment).read_text())
        if told["data"] == data:
            age = datetime.now(UTC) - datetime.fromisoformat(told["when"])
            return int(told["tries"]), age.total_seconds()
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, math.inf


def _note(workspace: Workspace, experiment: str, data: str, tries: int) -> None:
    file = _file(workspace, experiment)
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_suffix(".new")
    scratch.write_text(json.dumps({"data": data, "tries": tries, "when": datetime.now(UTC).isoformat()}))
    scratch.replace(file)
