"""How a registered model was measured on text that it has not learned from, and what it scored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.engine.reach import registrations
from tasks.engine.workspace import Workspace
from tasks.tracking.versions import Registered

ALL, ALL_DOCUMENTS, TEST_SIDE = "all", "all documents", "the test side"
BITS = "bits per byte"
WORDS = ("chosen", "why")
"""Of a registration, among its version's tags as well."""


@dataclass(frozen=True)
class Score:
    """One number with its 95 % interval."""

    metric: str
    """In words, such as `bits per byte`."""
    on: str
    """Which documents or questions, in words."""
    value: float
    low: float | None = None
    high: float | None = None
    number: int | None = None
    """Documents or questions that it was measured on."""
    is_main: bool = False
    """Models are compared by it."""


@dataclass(frozen=True)
class Measured:
    """The test of a registered model."""

    scores: list[Score]
    others: list[Score]
    """The same of what it was tested beside: other candidates, plain baselines; `on` is their name."""
    interval: str
    """What the intervals cover, in words."""
    chosen: str
    """What it was called among the candidates."""
    why: str
    """Why it was taken."""


def measured(workspace: Workspace, version: Registered) -> Measured | None:
    """What the test report behind a version says; where that is gone, the numbers that the registry keeps."""
    chosen, why = (
        version.tags.get(f"lm.{word}") or _entry(workspace, version).get(word, "") for word in WORDS
    )
    folder = workspace.path(version.tags["lm.report"]) if version.tags.get("lm.report") else None
    if folder and chosen:
        for file, read in (("comparison.json", _comparison), ("exam.json", _exam)):
            try:
                document = json.loads((folder / file).read_text(encoding="utf-8"))
                scores, others = read(document, chosen)
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue  # it is not there, or of another form
            return Measured(scores, others, str(document.get("interval", "")).rstrip("."), chosen, why)
    scores = [
        Score(_plain(tag.removeprefix("test/")), TEST_SIDE, value)
        for tag, value in sorted(version.scores.items())
        if not tag.endswith(("_low", "_high", "minus_reference", "/choice"))
    ]
    return Measured(scores, [], "", chosen, why) if scores else None


def _entry(workspace: Workspace, version: Registered) -> dict[str, Any]:
    for _, entry in registrations(workspace):
        if (entry.get("name"), entry.get("digest")) == (version.name, version.digest):
            return entry
    return {}


def _comparison(document: Mapping[str, Any], chosen: str) -> tuple[list[Score], list[Score]]:
    counts, models = document.get("documents", {}), document.get("models", {})
    groups = [ALL, *sorted(set(models.get(chosen, {})) - {ALL})]
    if len(groups) == 2:
        groups = [ALL]  # one source alone is all
    scores = [
        _score(
            BITS,
            ALL_DOCUMENTS if group == ALL else group,
            models[chosen][group]["bits_per_byte"],
            counts.get(group),
            is_main=group == ALL,
        )
        for group in groups
        if group in models.get(chosen, {})
    ]
    others = [
        _score(BITS, name, each[ALL]["bits_per_byte"], counts.get(ALL))
        for name, each in sorted(models.items())
        if name != chosen and ALL in each
    ]
    return scores, others


def _exam(document: Mapping[str, Any], chosen: str) -> tuple[list[Score], list[Score]]:
    scores, others = [], []
    for exercise, told in document.get("exercises", {}).items():
        is_recall = told.get("claim") == "recall"
        on = f"{_plain(exercise)}{' (recites what it was taught)' if is_recall else ''}"
        main = told.get("main_metric")
        for metric, by_model in told.get("metrics", {}).items():
            if chosen in by_model:
                number, is_main = told.get("items"), metric == main
                scores.append(_score(_plain(metric), on, by_model[chosen], number, is_main=is_main))
        others += list(
            _others(told.get("metrics", {}).get(main, {}), chosen, _plain(f"{exercise} {main}"), told)
        )
    return scores, others


def _others(
    by_model: Mapping[str, Any], chosen: str, metric: str, told: Mapping[str, Any]
) -> Iterator[Score]:
    for name, entry in sorted(by_model.items()):
        if name != chosen:
            yield _score(metric, _plain(name), entry, told.get("items"))


def _score(metric: str, on: str, entry: Mapping[str, Any], number: Any, *, is_main: bool = False) -> Score:
    return Score(metric, on, float(entry["value"]), entry.get("low"), entry.get("high"), number, is_main)


def _plain(name: str) -> str:
    return name.replace("_", " ")
