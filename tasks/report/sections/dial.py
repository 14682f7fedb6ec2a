"""Merges along the way from one parent to the other: bits per byte over the share of the second."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tasks.report.drawing.curves import Series, curve_chart
from tasks.report.facts import RunFacts
from tasks.report.judging import fixed
from tasks.report.sections.comparison import ALL

IN_NAME = re.compile(r"(slerp|linear)\D*(0?\.\d+|[01])$")
"""A merge's method and dial, where only its name tells: `slerp-0.25`."""
METHODS = ("slerp", "linear")
TONES = {"slerp": "one", "linear": "three"}

Entry = Mapping[str, float | None]


@dataclass(frozen=True)
class Dial:
    """One comparison's merges along the dial."""

    start: str
    end: str
    """The parents."""
    charts: list[tuple[str, Markup]]
    """(group of documents, curve)."""
    rows: list[tuple[str, list[tuple[str, str]]]]
    """(dial, [(method, bits per byte over all)])."""
    best: str
    """The lowest of all points over all documents."""


def dial(run: RunFacts) -> list[Dial]:
    """One section part for each comparison with at least two merges along a dial."""
    found = [_dial(run, step.document("comparison.json")) for step in run.holding("comparison.json")]
    return [each for each in found if each]


def place_on_dial(run: RunFacts, name: str) -> tuple[str, float] | None:
    """A merge's method and the share of the second parent: from its settings, else from its name."""
    step = run.models.get(name)
    for settings in _mappings(step.settings() if step else {}):
        method = settings.get("method", settings.get("type"))
        method = method.get("type") if isinstance(method, Mapping) else method
        share = _share(settings) if method in METHODS else None
        if method in METHODS and share is not None:
            return str(method), share
    named = IN_NAME.search(name)
    return (named[1], float(named[2])) if named else None


def _share(settings: Mapping[str, Any]) -> float | None:
    """The dial itself, or the second of two weights; equal ones where none are given."""
    inner = settings.get("method")
    known = {**settings, **(inner if isinstance(inner, Mapping) else {})}
    if isinstance(known.get("t"), int | float):
        return float(known["t"])
    weights = known.get("weights", [])
    if weights is None:
        return 0.5
    if isinstance(weights, list) and len(weights) == 2 and sum(weights):
        return float(weights[1] / sum(weights))
    return None


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
        for inner in value.values():
            yield from _mappings(inner)


def _dial(run: RunFacts, document: Mapping[str, Any]) -> Dial | None:
    models = document["models"]
    places = {name: place for name in models if (place := place_on_dial(run, name))}
    if len(places) < 2:
        return None
    parents = next((found for name in places if (found := parents_of(run, name))), ("", ""))
    points: dict[str, dict[float, str]] = {}
    for name, (method, share) in sorted(places.items(), key=lambda item: item[1]):
        points.setdefault(method, {})[share] = name
    for method in points:
        ends = {share: parent for share, parent in zip((0.0, 1.0), parents, strict=True) if parent in models}
        points[method] = dict(sorted({**ends, **points[method]}.items()))
    groups = [ALL, *sorted({group for scores in models.values() for group in scores} - {ALL})]
    shares = sorted({share for by_share in points.values() for share in by_share})
    every = [name for by_share in points.values() for name in by_share.values()]
    lowest = min(every, key=lambda name: models[name][ALL]["bits_per_byte"]["value"])
    return Dial(
        run.short(parents[0]) or "the first parent",
        run.short(parents[1]) or "the second parent",
        [(group, _chart(points, models, group, run.short(parents[1]))) for group in groups],
        [(f"{share:g}", _cells(points, models, share)) for share in shares],
        f"{run.short(lowest)} with {fixed(models[lowest][ALL]['bits_per_byte']['value'])}",
    )


def parents_of(run: RunFacts, name: str) -> tuple[str, str] | None:
    """The two models between which a merge lies, in their order."""
    step = run.models.get(name)
    if not step or not step.manifest:
        return None
    lists = [value for value in step.manifest.inputs.values() if isinstance(value, list)]
    names = [str(item["name"]) for item in lists[0]] if lists else []
    return (names[0], names[1]) if len(names) == 2 else None


def _chart(
    points: Mapping[str, Mapping[float, str]], models: Mapping[str, Any], group: str, end: str
) -> Markup:
    series = []
    for method, by_share in points.items():
        entries = {
            share: models[name][group]["bits_per_byte"]
            for share, name in by_share.items()
            if group in models[name]
        }
        line = [(share, entry["value"]) for share, entry in entries.items()]
        series.append(Series(method, line, TONES[method], has_dots=True, unit="bits per byte"))
    label = f"Bits per byte on {group} along the dial, one line for each of {' and '.join(points)}"
    return curve_chart(series, f"share of {end or 'the second parent'}", "bits per byte", label=label)


def _cells(
    points: Mapping[str, Mapping[float, str]], models: Mapping[str, Any], share: float
) -> list[tuple[str, str]]:
    return [
        (
            method,
            fixed(models[by_share[share]][ALL]["bits_per_byte"]["value"], 4) if share in by_share else "",
        )
        for method, by_share in points.items()
    ]
