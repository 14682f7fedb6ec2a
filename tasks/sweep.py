"""Sweeps: one flow with several values of some settings, side by side, and a table of what came out."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lmcore.config import SettingsError
from lmcore.lineage import Facts, digest_of, read_manifest
from tasks.artifacts import Report
from tasks.engine.artifact import Artifact
from tasks.engine.experiment import Experiment
from tasks.engine.flow import AnyFlow, Flow
from tasks.engine.session import ReachedUntil, variant
from tasks.engine.step import Build, Forecast, current, step

METRICS = {
    "choice": "higher",
    "bits_per_byte": "lower",
    "validation_bits_per_byte": "lower",
    "bytes_per_token": "higher",
}
"""What variants are ranked by: the first of these that all of them have."""
SEED = "seed"
MOST = 64
"""Variants of one sweep; more is a slip of the keyboard."""


@dataclass(frozen=True)
class Variant:
    """One point of a sweep."""

    dials: Mapping[str, str]
    """The values that were swept, as they were typed."""
    experiment: Experiment


def variants_of(overrides: Sequence[str]) -> list[tuple[dict[str, str], list[str]]]:
    """Every combination of the values of overrides such as `model.width=96,128`: (dials, overrides) each.

    Values are separated by commas without a space behind them; commas in quotes or brackets do not count.

    Raises:
        SettingsError: a value is empty or named twice, a swept setting is set twice, or there are too many
            combinations.
    """
    values = {}
    for override in overrides:
        _, equals, text = override.partition("=")
        values[override] = _split(text) if equals else [text]
        if len(values[override]) > 1:
            _check_values(override, values[override], overrides)
    swept = {override for override, each in values.items() if len(each) > 1}
    points = []
    for point in itertools.product(*values.values()):
        typed = dict(zip(values, point, strict=True))
        dials = {override.partition("=")[0]: typed[override] for override in overrides if override in swept}
        points.append((dials, [f"{o.partition('=')[0]}={typed[o]}" if o in swept else o for o in overrides]))
    if len(points) > MOST:
        raise SettingsError(f"these values make {len(points)} combinations; sweep at most {MOST} at a time")
    return points


def _check_values(override: str, values: Sequence[str], overrides: Sequence[str]) -> None:
    path = override.partition("=")[0]
    if not all(values):
        raise SettingsError(f"'{override}' has an empty value at a comma; write {path}=A,B without spaces")
    if len(set(values)) < len(values):
        raise SettingsError(f"'{override}' names a value twice; name each once")
    if sum(path == other.partition("=")[0] for other in overrides) > 1:
        raise SettingsError(f"'{path}' is set twice; give all of its values at once, as {path}=A,B")


def _split(text: str) -> list[str]:
    pieces, depth, quote, begin = [], 0, "", 0
    for place, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and not depth and not re.match(r"\s", text[place + 1 :]):
            pieces.append(text[begin:place])
            begin = place + 1
    return [*pieces, text[begin:]]


def sweep(flow: AnyFlow, variants: Sequence[Variant]) -> AnyFlow:
    """The flow that runs another one for each variant, side by side, and compares what they made."""

    def run(experiment: Experiment) -> Report:
        products = current().side_by_side([partial(_run, flow, each) for each in variants])
        if not all(isinstance(product, Artifact) for product in products):
            raise ReachedUntil
        dials = [dict(each.dials) for each in variants]
        return compare_variants(products, dials, name=experiment.name)

    run.__name__ = flow.name
    run.__doc__ = f"{flow.function.__doc__}, for each variant -> comparison"
    return Flow(run)


def sweep_name(experiment: Experiment, variants: Sequence[Variant]) -> str:
    """The name of a sweep's own products."""
    return f"{experiment.name}-sweep-{digest_of([dict(each.dials) for each in variants])[:6]}"


def _run(flow: AnyFlow, point: Variant) -> Any:
    token = variant.set(point.experiment.name)
    try:
        return flow(point.experiment)
    except ReachedUntil:
        return None
    finally:
        variant.reset(token)


@step(makes=Report, forecast=lambda _: Forecast(seconds=0.2, memory=1e7, disk=1e4))
def compare_variants(
    build: Build, products: Sequence[Artifact], dials: Sequence[Mapping[str, str]], *, name: str
) -> Facts:
    """One row per variant: its dials, and the numbers that all variants have."""
    facts = [read_manifest(build.path(product)).facts for product in products]
    numbers = [
        column for column, value in facts[0].items()
        if isinstance(value, int | float) and all(isinstance(each.get(column), int | float) for each in facts)
    ]  # fmt: skip
    metric = next((column for column in METRICS if column in numbers), None)
    rows: list[dict[str, Any]] = [
        {"dials": dict(each), "product": product.address, **{column: of[column] for column in numbers}}
        for each, product, of in zip(dials, products, facts, strict=True)
    ]
    better = METRICS.get(metric or "")
    table: dict[str, Any] = {"metric": metric, "better": better, "columns": numbers, "rows": rows}
    if metric:
        table |= {"recipes": _recipes(rows, metric)}
    (build.folder / "sweep.json").write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")
    with (build.folder / "sweep.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*dials[0], *numbers])
        writer.writerows(
            [*each.values(), *(row[column] for column in numbers)]
            for each, row in zip(dials, rows, strict=True)
        )
    if not metric:
        return {"variants": len(rows)}
    best = (min if better == "lower" else max)(rows, key=lambda row: row[metric])
    told = " ".join(f"{path}={value}" for path, value in best["dials"].items())
    return {"variants": len(rows), "best": told, f"best_{metric}": best[metric]}


def _recipes(rows: Sequence[Mapping[str, Any]], metric: str) -> list[dict[str, Any]]:
    """Variants that differ by their seed alone are one recipe: mean and range over its seeds."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        recipe = {path: value for path, value in row["dials"].items() if path.rpartition(".")[2] != SEED}
        groups.setdefault(json.dumps(recipe), []).append(row)
    recipes = []
    for spelled, members in groups.items():
        values = [row[metric] for row in members]
        recipes.append(
            {"dials": json.loads(spelled), "seeds": len(values), "mean": sum(values) / len(values),
             "lowest": min(values), "highest": max(values)}
        )  # fmt: skip
    return recipes
