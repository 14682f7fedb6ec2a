"""Loss curves of every model that was trained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tasks.report.drawing.curves import Points, Series, curve_chart
from tasks.report.facts import RunFacts, StepFacts
from tasks.report.judging import fixed
from tasks.words import duration, mixture, times

BEGINNING = 0.06
"""The share of the steps whose loss does not decide how far the picture reaches."""


@dataclass(frozen=True)
class Curve:
    """One model's training."""

    name: str
    step: str
    best: str
    cost: str
    chart: Markup
    is_reused: bool
    samples: list[tuple[int, str, str]]
    """(optimizer step, prompt, text) that it wrote while it learnt."""


def training(run: RunFacts) -> list[Curve]:
    """A curve for each product with a `metrics.jsonl` that holds losses."""
    curves = []
    for step in run.holding("metrics.jsonl"):
        records = step.lines("metrics.jsonl")
        if losses(records, "loss") or losses(records, "validation_loss"):
            curves.append(_curve(run, step, records))
    return curves


def losses(records: Sequence[Mapping[str, Any]], name: str) -> Points:
    """(optimizer step, value) of one metric, where it was measured and is finite."""
    found = [(record["step"], record[name]) for record in records if record.get(name) is not None]
    return [(float(step), float(value)) for step, value in found if math.isfinite(value)]


def _curve(run: RunFacts, step: StepFacts, records: Sequence[Mapping[str, Any]]) -> Curve:
    training, validation = losses(records, "loss"), losses(records, "validation_loss")
    series = [
        Series("training", training, "two"),
        Series("validation", validation, "one", has_dots=True),
    ]
    marks, best = [], ""
    if validation:
        where, lowest = min(validation, key=lambda point: point[1])
        words = f"best validation loss {lowest:.3f} at step {where:.0f}"
        marks.append((where, lowest, words))
        bits = dict(losses(records, "validation_bits_per_byte")).get(where)
        best = words + (f", {fixed(bits)} bits per byte" if bits is not None else "")
    name = run.short(step.name)
    chart = curve_chart(
        [each for each in series if each.points],
        "optimizer step",
        "nats per token",
        label=f"Loss of {name} over {len(training)} optimizer steps; {best}",
        skip_share=BEGINNING,
        marks=marks,
    )
    return Curve(
        name, step.step.replace("_", " "), best, _cost(step), chart, not step.is_made, _samples(step)
    )


def _cost(step: StepFacts) -> str:
    facts = step.manifest.facts if step.manifest else {}
    told = []
    if isinstance(parameters := facts.get("parameters"), int):
        told.append(f"{parameters:,} parameters")
    if isinstance(tokens := facts.get("tokens"), int):
        told.append(f"{tokens:,} tokens")
    if isinstance(epochs := facts.get("epochs"), float):
        told.append(f"{times(epochs)} epochs")
    if sources := mixture(facts):
        told.append(f"of the sources {sources}")
    told.append(duration(step.cost("seconds")))
    return ", ".join(told)


def _samples(step: StepFacts) -> list[tuple[int, str, str]]:
    rows = [row for row in step.lines("samples.jsonl") if {"step", "prompt", "text"} <= row.keys()]
    return [(row["step"], row["prompt"], row["text"]) for row in rows]
