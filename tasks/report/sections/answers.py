"""Some answers to an exercise: questions that a model answered well, and such that it did not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.report.judging import fixed
from tasks.report.sections.rivals import Names

WELL = 0.5
"""The mark from which an answer counts as good here: right, or mostly the wanted words."""
OF_EACH = 3
FRONT, BACK = 170, 130
"""Letters of a long question's beginning and end that are shown."""


@dataclass(frozen=True)
class Card:
    """One question, and what each model said."""

    question: str
    wanted: str
    said: list[tuple[str, str, str, bool]]
    """(model, answer, mark, whether it is good)."""


@dataclass(frozen=True)
class Answers:
    """Some of an exercise's questions."""

    by: str
    """The model by whose marks they were picked."""
    num_good: int
    num_poor: int
    good: list[Card]
    poor: list[Card]


def answers_to(
    exercise: str,
    rows: Sequence[Mapping[str, Any]],
    names: Names,
    scores: Mapping[str, Mapping[str, float]],
) -> Answers | None:
    """Questions spread evenly over those that the best model answered well, and over the rest."""
    asked = [row for row in rows if row["exercise"] == exercise]
    ours = [name for name in names.models if name not in names.rivals] or names.models
    if not asked or not ours:
        return None
    best = (
        max(ours, key=lambda name: scores[name]["value"]) if all(name in scores for name in ours) else ours[0]
    )
    good = [row for row in asked if row["marks"][best] >= WELL]
    poor = [row for row in asked if row["marks"][best] < WELL]
    return Answers(
        names.shown(best),
        len(good),
        len(poor),
        [_card(row, names) for row in spaced(good, OF_EACH)],
        [_card(row, names) for row in spaced(poor, OF_EACH)],
    )


def spaced(rows: Sequence[Mapping[str, Any]], number: int) -> list[Mapping[str, Any]]:
    """So many of them, at even distances."""
    count = min(number, len(rows))
    return [rows[index * len(rows) // count] for index in range(count)]


def shortened(text: str, front: int = FRONT, back: int = BACK) -> str:
    """The beginning and the end of a long text, cut between words where it has some."""
    if len(text) <= front + back + 20:
        return text
    start, end = text[:front], text[-back:]
    return f"{start.rpartition(' ')[0] or start} … {end.partition(' ')[2] or end}"


def _card(row: Mapping[str, Any], names: Names) -> Card:
    said = []
    for model in names.models:
        mark = row["marks"][model]
        said.append((names.shown(model), shortened(row["answers"][model]), _spelled(mark), mark >= WELL))
    return Card(shortened(row["question"]), shortened(row["wanted"]), said)


def _spelled(mark: float) -> str:
    return "right" if mark == 1 else "wrong" if mark == 0 else fixed(mark, 2)
