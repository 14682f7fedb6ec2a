"""Variants of a sweep beside each other; those that differ by their seed alone are one recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tasks.report.drawing.intervals import axis_cell, interval_cell, scale_for
from tasks.report.facts import RunFacts
from tasks.report.judging import fixed
from tasks.words import count

SEEDS_FOR_A_CLAIM = 3


@dataclass(frozen=True)
class Row:
    """One recipe."""

    dials: str
    value: str
    range: str
    seeds: str
    plot: Markup


@dataclass(frozen=True)
class Sweep:
    """One `sweep.json`."""

    metric: str
    better: str
    axis: Markup
    rows: list[Row]
    caution: str


def sweep(run: RunFacts) -> list[Sweep]:
    """One section part for each sweep whose variants have a number to rank them by."""
    documents = [step.document("sweep.json") for step in run.holding("sweep.json")]
    return [_sweep(document) for document in documents if document.get("recipes")]


def _sweep(document: Mapping[str, Any]) -> Sweep:
    is_higher_better, metric = document["better"] == "higher", document["metric"].replace("_", " ")
    recipes = sorted(document["recipes"], key=lambda recipe: recipe["mean"], reverse=is_higher_better)
    entries = [{"value": each["mean"], "low": each["lowest"], "high": each["highest"]} for each in recipes]
    scale = scale_for(entries)
    rows = []
    for recipe, entry in zip(recipes, entries, strict=True):
        dials = " ".join(f"{path}={value}" for path, value in recipe["dials"].items()) or "as it stands"
        spread = f"{fixed(entry['low'], 4)} to {fixed(entry['high'], 4)}" if recipe["seeds"] > 1 else ""
        seeds = count(recipe["seeds"], "seed")
        plot = interval_cell(entry, scale, f"{dials}: {fixed(entry['value'], 4)}, {seeds}", "one")
        rows.append(Row(dials, fixed(entry["value"], 4), spread, seeds, plot))
    fewest = min(recipe["seeds"] for recipe in recipes)
    caution = (
        ""
        if fewest >= SEEDS_FOR_A_CLAIM
        else (f"Fewer than {SEEDS_FOR_A_CLAIM} seeds each cannot tell such differences from chance.")
    )
    return Sweep(
        metric, "more is better" if is_higher_better else "less is better", axis_cell(scale), rows, caution
    )
