"""Exercises: the main metric of models beside baselines, what is better than what, some answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tasks.report.drawing.intervals import axis_cell, interval_cell, scale_for
from tasks.report.drawing.scale import Scale
from tasks.report.facts import RunFacts, StepFacts
from tasks.report.judging import bounds, fixed, is_lower_better, judge, signed
from tasks.report.sections.answers import Answers, answers_to
from tasks.report.sections.comparison import tone_of
from tasks.report.sections.rivals import Marks, Names, names_in, rivalry, spelled

CLAIMS = {
    "recall": "recall: the answers stand in the training text, so this says what a model remembers, no more",
    "generalisation": "generalisation: on documents that no model was trained on",
}

NOTES = (("Claims", "claim_note"), ("Answers", "answers"), ("Intervals", "interval"))


@dataclass(frozen=True)
class Row:
    """A model or a baseline on one metric."""

    name: str
    role: str
    """`baseline`, or `to beat` for a model that the others have to beat; empty for those."""
    value: str
    bounds: str
    plot: Markup


@dataclass(frozen=True)
class Difference:
    """Two of them beside each other."""

    words: str
    value: str
    bounds: str
    plot: Markup
    word: str


@dataclass(frozen=True)
class Metric:
    """One metric of one exercise."""

    name: str
    axis: Markup
    rows: list[Row]
    difference_axis: Markup | None
    differences: list[Difference]


@dataclass(frozen=True)
class Exercise:
    """One kind of task."""

    name: str
    claim: str
    claim_words: str
    items: int
    documents: int
    metrics: list[Metric]
    """The one that it is judged by first."""
    statements: list[tuple[str, str]]
    answers: Answers | None


@dataclass(frozen=True)
class Exam:
    """One `exam.json`."""

    name: str
    side: str
    notes: list[tuple[str, str]]
    """How it was done, and what the intervals cover."""
    exercises: list[Exercise]
    choice: Metric | None
    """What the choice among the models rested on."""


def exam(run: RunFacts) -> list[Exam]:
    """One section part for each `exam.json`."""
    return [_exam(run, step, step.document("exam.json")) for step in run.holding("exam.json")]


def _exam(run: RunFacts, step: StepFacts, document: Mapping[str, Any]) -> Exam:
    rows, choice = step.lines("answers.jsonl"), document.get("choice", {})
    names = names_in(run, document, rows)
    exercises = [
        _exercise(run, name, exercise, names, answers_to(name, rows, names, choice.get("scores", {})))
        for name, exercise in document["exercises"].items()
    ]
    return Exam(
        run.short(step.name),
        document["side"],
        [(title, words) for title, key in NOTES if (words := document.get(key))],
        exercises,
        _metric(choice["metric"], choice["scores"], choice.get("differences", {}), names)
        if choice.get("scores")
        else None,
    )


def _exercise(
    run: RunFacts, name: str, exercise: Mapping[str, Any], names: Names, answers: Answers | None
) -> Exercise:
    differences, main = exercise.get("differences", {}), exercise.get("main_metric")
    metrics = sorted(exercise["metrics"], key=lambda metric: metric != main)
    return Exercise(
        name.replace("_", " "),
        exercise["claim"],
        CLAIMS.get(exercise["claim"], exercise["claim"]),
        exercise["items"],
        exercise["documents"],
        [
            _metric(metric, exercise["metrics"][metric], differences.get(metric, {}), names)
            for metric in metrics
        ],
        rivalry(exercise, names),
        answers,
    )


def _metric(name: str, marks: Marks, differences: Marks, names: Names) -> Metric:
    lower, scale = is_lower_better(name), scale_for(list(marks.values()))
    best_first = sorted(marks, key=lambda who: marks[who]["value"] or 0.0, reverse=not lower)
    shared = scale_for(list(differences.values()), zero=True) if differences else None
    return Metric(
        spelled(name),
        axis_cell(scale),
        [_row(name, names, who, marks[who], scale) for who in best_first],
        axis_cell(shared, signed=True) if shared else None,
        [
            _difference(names, pair, each, shared, lower)
            for pair, each in differences.items()
            if shared and not names.rivals.issuperset(pair.split(" - "))
        ],
    )


def _row(metric: str, names: Names, who: str, entry: Mapping[str, Any], scale: Scale) -> Row:
    value, spread, name = fixed(entry["value"]), bounds(entry), names.shown(who)
    role = names.role(who)
    plot = interval_cell(
        entry, scale, f"{name}: {spelled(metric)} {value} ({spread})", "two" if role else "one"
    )
    return Row(name, role, value, spread, plot)


def _difference(
    names: Names, pair: str, entry: Mapping[str, Any], scale: Scale, is_lower_better: bool
) -> Difference:
    word = judge(entry, lower_is_better=is_lower_better)
    value, spread = signed(entry["value"]), bounds(entry, with_sign=True)
    words = " − ".join(names.shown(who) for who in pair.split(" - "))
    plot = interval_cell(entry, scale, f"{words}: {value} ({spread}): {word}", tone_of(word), at=0.0)
    return Difference(words, value, spread, plot, word)
