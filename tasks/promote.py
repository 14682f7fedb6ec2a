"""What the verdict says is done: the challenger becomes champion, or the champion stays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.lineage import Facts
from tasks.artifacts import Registration, Release, Verdict
from tasks.engine.step import Build, Forecast, step
from tasks.who import who

if TYPE_CHECKING:
    from tasks.tracking.versions import Registered

ENTRY = "release.json"
PROMOTE = "promote"


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    return Forecast(seconds=0.5, memory=5e7, disk=2e3)


def _is_settled(workspace: Path, product: Path, in_full: bool) -> bool:
    """Whether the model's journal knows the verdict, and MLflow shows its page; who is champion now is up to
    whoever moved it last.
    """
    from tasks.card import is_published
    from tasks.tracking.journal import Journal

    entry = json.loads((product / ENTRY).read_text())
    version, report = _challenger(workspace, entry), workspace / entry["report"]
    is_shown = version is None or is_published(version, report)
    return is_shown and _is_noted(Journal(workspace, entry["model"]), entry)


def _settle(workspace: Path, product: Path, arguments: Mapping[str, Any]) -> None:
    """For a workspace whose journal does not know it: a copy without its `releases/`."""
    from tasks.card import publish

    entry = json.loads((product / ENTRY).read_text())
    _note(workspace, entry)
    if version := _challenger(workspace, entry):
        publish(workspace, version.name, version.version)


@step(makes=Release, forecast=_forecast, is_registered=_is_settled, renew=_settle)
def promote_challenger(build: Build, challenger: Registration, verdict: Verdict, *, name: str) -> Facts:
    """Note the verdict in the model's journal, then move the aliases as it says.

    Raises:
        Overtaken: another version became champion since the verdict; run again to be judged beside that.
    """
    from tasks.card import publish
    from tasks.tracking.journal import Journal
    from tasks.tracking.moves import promote
    from tasks.tracking.standing import standing
    from tasks.tracking.versions import versions

    judged = json.loads((build.path(verdict) / "verdict.json").read_text(encoding="utf-8"))
    entry = {
        "model": judged["model"],
        "challenger": judged["challenger"]["digest"],
        "champion": judged["champion"] and judged["champion"]["digest"],
        "word": judged["word"],
        "sentence": judged["sentence"],
        "report": verdict.address,
    }
    (build.folder / ENTRY).write_text(json.dumps(entry, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    root, model = build.workspace_root, entry["model"]
    _note(root, entry)
    numbers = {version.digest: version.version for version in versions(root, model)}
    publish(root, model, numbers[entry["challenger"]])
    # One that was released on this verdict and rolled back before this step came to its end stays so.
    released = standing(Journal(root, model).entries()).released
    if entry["word"] == PROMOTE and numbers[entry["challenger"]] not in released:
        promote(
            root,
            model,
            numbers[entry["challenger"]],
            expected_champion=numbers.get(entry["champion"]),
            why=entry["sentence"],
            who=who(),
        )
    build.say(entry["sentence"])
    return {"model": model, "word": entry["word"]}


def _challenger(workspace: Path, entry: Mapping[str, Any]) -> Registered | None:
    """The version that was judged."""
    from tasks.tracking.versions import versions

    found = versions(workspace, entry["model"])
    return next((version for version in found if version.digest == entry["challenger"]), None)


def _note(workspace: Path, entry: Mapping[str, Any]) -> None:
    """Write the verdict into the journal, once."""
    from tasks.tracking.journal import Journal, holding

    journal = Journal(workspace, entry["model"], who())
    with holding(workspace):
        if not _is_noted(journal, entry):
            journal.append("verdict", **{name: value for name, value in entry.items() if name != "model"})


def _is_noted(journal: Any, entry: Mapping[str, Any]) -> bool:
    same = ("challenger", "champion", "word")
    return any(
        line.kind == "verdict" and all(line.facts.get(name) == entry[name] for name in same)
        for line in journal.entries()
    )
