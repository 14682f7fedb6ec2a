"""What the gate asked of a challenger and what came out, in short; the verdict's own page tells the rest."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.report.facts import RunFacts, StepFacts
from tasks.report.verdict import PAGE
from tasks.report.verdict.checks import Row, row_of
from tasks.report.verdict.view import read_verdict


@dataclass(frozen=True)
class Judgement:
    """One challenger before the gate."""

    name: str
    word: str
    checks: list[Row]
    page: str
    """Where the verdict's page lies in the workspace; empty if nothing wrote one."""


def gate(run: RunFacts) -> list[Judgement]:
    """Of a run that released nothing: none."""
    found = []
    for step in run.holding("verdict.json"):
        assert step.folder
        verdict, challenge = read_verdict(step.folder)
        rows = [row_of(check, challenge["kind"], challenge["metric"]) for check in verdict["checks"]]
        found.append(Judgement(run.short(step.name), verdict["word"], rows, _page(step)))
    return found


def _page(step: StepFacts) -> str:
    assert step.folder
    page = step.folder / PAGE
    return f"{step.folder.parent.name}/{step.folder.name}/{PAGE}" if page.is_file() else ""
