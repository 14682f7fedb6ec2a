"""The graph of steps, and the same as a table."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from tasks.report.drawing.dag import Node, draw_graph
from tasks.report.facts import NOT_REACHED, RunFacts, StepFacts
from tasks.words import count, duration, size

TONES = {"built": "made", "rebuilt": "made", NOT_REACHED: "missing"}


@dataclass(frozen=True)
class Row:
    """One step in the table."""

    id: str
    words: str
    """The step's name as words."""
    name: str
    state: str
    tone: str
    why: str
    time: str
    """In this run; empty where nothing was done."""
    then: str
    """What making it took, where that was earlier."""
    size: str
    key: str
    digest: str
    finished: str
    reads: list[str]


@dataclass(frozen=True)
class Steps:
    """The section."""

    graph: Markup
    rows: list[Row]
    states: list[tuple[str, str]]
    """(tone, words) of those that occur, for the legend."""


def steps(run: RunFacts) -> Steps | None:
    """All steps of the run; nothing where there was none."""
    if not run.steps:
        return None
    rows = [_row(run, step, f"step-{index}") for index, step in enumerate(run.steps, start=1)]
    longest = max((step.cost("seconds") for step in run.steps if step.is_made), default=0.0)
    nodes = [_node(step, row, longest) for step, row in zip(run.steps, rows, strict=True)]
    needs = {step.label: step.needs for step in run.steps}
    what = f"{count(len(rows), 'step')} of {run.flow} {run.experiment}"
    label = f"{what}, from sources to results; the table tells the same"
    tones = {row.tone: row.state if row.tone != "made" else "made in this run" for row in rows}
    return Steps(draw_graph(nodes, needs, label), rows, list(tones.items()))


def _row(run: RunFacts, step: StepFacts, id_: str) -> Row:
    manifest, seconds = step.manifest, step.cost("seconds")
    return Row(
        id=id_,
        words=step.step.replace("_", " "),
        name=run.short(step.name),
        state=step.state,
        tone=TONES.get(step.state, step.state),
        why=step.why,
        time=duration(seconds) if step.is_made else "",
        then=duration(seconds) if seconds and not step.is_made else "",
        size=size(manifest.size) if manifest else "",
        key=manifest.key[:12] if manifest else "",
        digest=manifest.digest[:12] if manifest else "",
        finished=str(manifest.provenance.get("finished", ""))[:16].replace("T", " ") if manifest else "",
        reads=[_read(run, each) for each in step.needs],
    )


def _read(run: RunFacts, label: str) -> str:
    """A step by its words, and its name where that says something."""
    step, _, name = label.partition(" ")
    words = step.replace("_", " ")
    return words if name == run.experiment else f"{words} {run.short(name)}"


def _node(step: StepFacts, row: Row, longest: float) -> Node:
    took = f"took {row.time}" if row.time else f"took {row.then} when it was made" if row.then else ""
    identity = f"key {row.key}, digest {row.digest}" if row.key else ""
    hover = "\n".join(
        filter(None, (step.label, f"{step.state}: {step.why}" if step.why else step.state, took, identity))
    )
    share = step.cost("seconds") / longest if step.is_made and longest else 0.0
    shown = row.time or (step.state if step.state != NOT_REACHED else "")
    return Node(step.label, row.words, row.name, shown, row.tone, hover, share, row.id)
