"""Models beside a unigram model, over all and by source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tasks.report.drawing.intervals import axis_cell, interval_cell, scale_for
from tasks.report.drawing.scale import Scale
from tasks.report.facts import RunFacts, StepFacts
from tasks.report.judging import bounds, fixed, judge, signed
from tasks.words import count

BASELINE = "unigram model"


@dataclass(frozen=True)
class Row:
    """A model, or the baseline, on one group of documents."""

    name: str
    value: str
    bounds: str
    perplexity: str
    plot: Markup
    is_baseline: bool


@dataclass(frozen=True)
class Group:
    """All documents, or those of one source."""

    name: str
    documents: int
    rows: list[Row]


@dataclass(frozen=True)
class Scores:
    """Evaluations on the same documents."""

    axis: Markup
    groups: list[Group]
    interval: str
    """What the intervals cover."""
    verdicts: list[tuple[str, str]]


def scores(run: RunFacts) -> list[Scores]:
    """One table for the evaluations that share their documents."""
    alike: dict[str, dict[str, Mapping[str, Any]]] = {}
    for step in run.holding("scores.json"):
        document = step.document("scores.json")
        same = repr((document["definition"]["side"], document["bytes"], document["unigram"]["bits_per_byte"]))
        alike.setdefault(same, {})[run.short(model_of(run, step))] = document
    return [_scores(documents) for documents in alike.values()]


def model_of(run: RunFacts, step: StepFacts) -> str:
    """The name of the model that a report is about, as this run calls it.

    A product that another experiment has made is known by its bytes: its manifest has the name given there.
    """
    names = {made.manifest.digest: name for name, made in run.models.items() if made.manifest}
    told = (step.manifest.inputs if step.manifest else {}).get("model", {})
    return names.get(told.get("digest", ""), told.get("name", step.name))


def _scores(documents: Mapping[str, Mapping[str, Any]]) -> Scores:
    first = next(iter(documents.values()))
    groups: dict[str, dict[str, Mapping[str, Any]]] = {"all": dict(documents)}
    for source in sorted(first.get("sources", {})):
        groups[source] = {name: document["sources"][source] for name, document in documents.items()}
    entries = [
        summary[who]["bits_per_byte"]
        for summaries in groups.values()
        for summary in summaries.values()
        for who in ("model", "unigram")
    ]
    scale = scale_for(entries)
    return Scores(
        axis_cell(scale),
        [_group(group, summaries, scale) for group, summaries in groups.items()],
        first["definition"]["interval"],
        [verdict_on(document, name) for name, document in documents.items()],
    )


def _group(group: str, summaries: Mapping[str, Mapping[str, Any]], scale: Scale) -> Group:
    first = next(iter(summaries.values()))
    ordered = sorted(summaries, key=lambda name: summaries[name]["model"]["bits_per_byte"]["value"])
    rows = [_row(group, name, summaries[name]["model"], scale, is_baseline=False) for name in ordered]
    return Group(
        group, first["documents"], [*rows, _row(group, BASELINE, first["unigram"], scale, is_baseline=True)]
    )


def _row(group: str, name: str, summary: Mapping[str, Any], scale: Scale, *, is_baseline: bool) -> Row:
    entry = summary["bits_per_byte"]
    words = f"{name} on {group}: {fixed(entry['value'])} ({bounds(entry)}) bits per byte"
    plot = interval_cell(entry, scale, words, "two" if is_baseline else "one")
    perplexity = fixed(summary["perplexity"]["value"], 1)
    return Row(name, fixed(entry["value"]), bounds(entry), perplexity, plot, is_baseline)


def verdict_on(document: Mapping[str, Any], name: str) -> tuple[str, str]:
    """A word and its sentence: is the model better than counting tokens?"""
    ours, theirs = (document[who]["bits_per_byte"]["value"] for who in ("model", "unigram"))
    difference = document["model_minus_unigram"]["bits_per_byte"]
    word = judge(difference, lower_is_better=True)
    told = f"{name} has {fixed(ours)} bits per byte on {count(document['documents'], 'held-out document')}"
    interval = bounds(difference, with_sign=True)
    known = (
        f"{signed(difference['value'])}, 95 % {interval}" if interval else "no interval: one document alone"
    )
    return word, f"{told}, a unigram model {fixed(theirs)} ({known})."
