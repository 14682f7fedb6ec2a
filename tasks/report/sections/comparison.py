"""Several models beside a reference: bits per byte by source, with differences and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tasks.report.drawing.intervals import axis_cell, interval_cell, scale_for
from tasks.report.drawing.scale import Scale
from tasks.report.facts import RunFacts, StepFacts
from tasks.report.judging import bounds, fixed, judge, listed, needed, signed

ALL = "all"


@dataclass(frozen=True)
class Row:
    """A model on one group of documents."""

    name: str
    kind: str
    """The verb of the step that made it."""
    value: str
    bounds: str
    plot: Markup
    difference: str
    difference_bounds: str
    difference_plot: Markup | None
    word: str
    """better, worse, cannot tell, or `reference`."""


@dataclass(frozen=True)
class Group:
    """All documents, or those of one source."""

    name: str
    documents: int | None
    axis: Markup
    difference_axis: Markup
    rows: list[Row]


@dataclass(frozen=True)
class Comparison:
    """One `comparison.json`."""

    name: str
    side: str
    reference: str
    interval: str
    groups: list[Group]
    statements: list[tuple[str, str]]
    """(word, sentence), the plainest first."""


def comparison(run: RunFacts) -> list[Comparison]:
    """One section part for each `comparison.json`."""
    return [
        _comparison(run, step, step.document("comparison.json")) for step in run.holding("comparison.json")
    ]


def _comparison(run: RunFacts, step: StepFacts, document: Mapping[str, Any]) -> Comparison:
    models, differences = document["models"], document["differences"]
    names = sorted(models, key=lambda name: models[name][ALL]["bits_per_byte"]["value"])
    groups = [ALL, *sorted({group for scores in models.values() for group in scores} - {ALL})]
    all_differences = [entry for by_group in differences.values() for entry in by_group.values()]
    shared = scale_for(all_differences, zero=True) if all_differences else Scale(-1, 1, 3, 97)
    return Comparison(
        run.short(step.name),
        document["side"],
        run.short(document["reference"]),
        document.get("interval", "").removesuffix("."),
        [_group(run, document, group, names, shared) for group in groups],
        statements(run, document),
    )


def _group(run: RunFacts, document: Mapping[str, Any], group: str, names: list[str], shared: Scale) -> Group:
    present = [name for name in names if group in document["models"][name]]
    entries = {name: document["models"][name][group]["bits_per_byte"] for name in present}
    scale, reference = scale_for(list(entries.values())), document["reference"]
    at = entries[reference]["value"] if reference in entries else None
    rows = []
    for name, entry in entries.items():
        difference = document["differences"].get(name, {}).get(group)
        word = "reference" if name == reference else judge(difference or {}, lower_is_better=True)
        words = f"{run.short(name)} on {group}: {fixed(entry['value'])} ({bounds(entry)}) bits per byte"
        rows.append(
            Row(
                run.short(name),
                kind_of(run, name),
                fixed(entry["value"]),
                bounds(entry),
                interval_cell(entry, scale, words, tone_of(word), at=at),
                signed(difference["value"], 4) if difference and name != reference else "",
                bounds(difference or {}, 4, with_sign=True) if name != reference else "",
                _difference_plot(run.short(name), difference, shared, word) if name != reference else None,
                word,
            )
        )
    counts = document.get("documents", {})
    return Group(group, counts.get(group), axis_cell(scale), axis_cell(shared, signed=True), rows)


def _difference_plot(
    name: str, difference: Mapping[str, Any] | None, scale: Scale, word: str
) -> Markup | None:
    if not difference:
        return None
    words = f"{name}: {signed(difference['value'], 4)} ({bounds(difference, 4, with_sign=True)}): {word}"
    return interval_cell(difference, scale, words, tone_of(word), at=0.0)


def tone_of(word: str) -> str:
    """The style sheet's class for a verdict."""
    return word.replace(" ", "-")


def kind_of(run: RunFacts, name: str) -> str:
    """The verb of the step that made a model: `pretrain`, `merge`."""
    step = run.models.get(name)
    return step.step.partition("_")[0] if step else ""


def is_control(name: str) -> bool:
    """A control is called one: what the same work without the idea would have given."""
    return "control" in name.lower()


def statements(run: RunFacts, document: Mapping[str, Any], most: int | None = None) -> list[tuple[str, str]]:
    """What the differences over all documents say, one sentence a verdict, and where a control wins.

    Args:
        most: models that are named in a sentence, the best ones; all of them if left out.
    """
    reference, documents = document["reference"], document.get("documents", {}).get(ALL)
    values = {name: scores[ALL]["bits_per_byte"]["value"] for name, scores in document["models"].items()}
    by_word: dict[str, list[str]] = {}
    for name in sorted(values, key=lambda name: values[name]):
        difference = document["differences"].get(name, {}).get(ALL)
        if name != reference and difference:
            told = f"{run.short(name)} ({signed(difference['value'], 4)})"
            by_word.setdefault(judge(difference, lower_is_better=True), []).append(told)
    over = f" over {documents:,} documents of the {document['side']} side" if documents else ""
    base = run.short(reference)
    found = []
    for word, sentence in (
        ("better", f"Better than {base}{over}"),
        ("worse", f"Worse than {base}"),
        ("cannot tell", f"Cannot be told from {base}: the interval of the difference includes 0"),
    ):
        if word in by_word:
            found.append((word, f"{sentence}: {listed(by_word[word], most)} bits per byte."))
    return found + _control(run, values)


def _control(run: RunFacts, values: Mapping[str, float]) -> list[tuple[str, str]]:
    """Say plainly where a control has the lowest score of all."""
    lowest = min(values, key=lambda name: values[name])
    others = [name for name in values if not is_control(name)]
    if not is_control(lowest) or not others:
        return []
    second = min(others, key=lambda name: values[name])
    told = f"{fixed(values[lowest])} against {fixed(values[second])} of {run.short(second)}"
    sentence = (
        f"The control wins: {run.short(lowest)} has the lowest score of all, {told}, the best of the others."
    )
    return [("beaten", sentence)]


def more_documents(document: Mapping[str, Any]) -> dict[str, int]:
    """Models that cannot be told from the reference -> about how many documents would tell."""
    documents = document.get("documents", {}).get(ALL)
    if not documents:
        return {}
    asked = {
        name: needed(by_group[ALL], documents)
        for name, by_group in document["differences"].items()
        if name != document["reference"] and ALL in by_group
    }
    return {name: number for name, number in asked.items() if number}
