"""Tables of scores in the terminal: models beside each other and beside cheap baselines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from tasks.words import count, interval

MAIN_METRICS = ("accuracy", "exact_match", "rouge1", "rouge2", "rougeL")
"""What the screen shows of an exam; the rest stands in the report."""
SWEEP_COLUMNS = ("parameters", "tokens", "steps", "training_loss", "documents")
MOST_TELLING = 6
"""Columns of what variants differ in that are shown where there is no one metric."""
SEEDS_FOR_A_CLAIM = 3


def show_scores(out: Console, scores: Mapping[str, Any]) -> None:
    """One model on the test side, by source, beside a unigram model."""
    table = _table(
        "held-out text", "documents", "bits per byte (95 % over documents)", "unigram", "perplexity"
    )
    for name, group in [("all", scores), *sorted(scores["sources"].items())]:
        table.add_row(
            name,
            f"{group['documents']}",
            interval(group["model"]["bits_per_byte"], 3),
            f"{group['unigram']['bits_per_byte']['value']:.3f}",
            f"{group['model']['perplexity']['value']:.1f}",
        )
    out.print()
    out.print(table)


def show_comparison(out: Console, comparison: Mapping[str, Any]) -> None:
    """Bits per byte of each model by source, and how far it is from the reference on all documents."""
    models, reference = comparison["models"], comparison["reference"]
    groups = list(comparison["documents"])
    table = _table(
        f"bits per byte, {comparison['side']} side", *groups, f"all, less {reference} (95 % over documents)"
    )
    for model in comparison["order"]:
        difference = comparison["differences"].get(model, {}).get("all")
        values = [f"{models[model][group]['bits_per_byte']['value']:.3f}" for group in groups]
        table.add_row(model, *values, interval(difference, 3, signed=True) if difference else "")
    out.print()
    out.print(table)


def show_exam(out: Console, exam: Mapping[str, Any]) -> None:
    """A table for each exercise: models and cheap baselines by metric."""
    for exercise, marks in exam["exercises"].items():
        metrics = [metric for metric in MAIN_METRICS if metric in marks["metrics"]]
        title = f"{exercise}, {exam['side']} side: {marks['claim']}"
        table = _table(title, *(metric.replace("_", " ") for metric in metrics))
        who = dict.fromkeys(name for metric in metrics for name in marks["metrics"][metric])
        for name in who:
            cells = [marks["metrics"][metric].get(name) for metric in metrics]
            table.add_row(name, *(interval(cell, 2) if cell else "" for cell in cells))
        out.print()
        out.print(table)
        asked, told_by = count(marks["items"], "question"), count(marks["documents"], "document")
        covers = f"{asked} from {told_by}; 95 % over documents"
        out.print(covers, style="dim")


def show_sweep(out: Console, sweep: Mapping[str, Any]) -> None:
    """A row per variant, the best first, and what that says of the settings beside their seeds."""
    rows, metric = list(sweep["rows"]), sweep["metric"]
    if metric:
        rows.sort(key=lambda row: row[metric], reverse=sweep["better"] == "higher")
    # Of what has no one metric, such as several models beside each other, what the variants differ in.
    telling = [] if metric else [name for name in sweep["columns"] if len({row[name] for row in rows}) > 1]
    columns = [
        name for name in dict.fromkeys([metric, *telling[:MOST_TELLING], *SWEEP_COLUMNS])
        if name in sweep["columns"]
    ]  # fmt: skip
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for title in (*rows[0]["dials"], *columns, "product"):
        table.add_column(title.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*row["dials"].values(), *(_number(row[column]) for column in columns), row["product"])
    out.print()
    out.print(table)
    recipes = sweep.get("recipes", [])
    if len(recipes) > 1:
        out.print(_best_recipe(recipes, metric, sweep["better"]))


def _best_recipe(recipes: list[Mapping[str, Any]], metric: str, better: str) -> str:
    if len({recipe["mean"] for recipe in recipes}) == 1:
        return f"{metric.replace('_', ' ')}: {recipes[0]['mean']:.4f} with each of these settings"
    best = (min if better == "lower" else max)(recipes, key=lambda recipe: recipe["mean"])
    dials = " ".join(f"{path}={value}" for path, value in best["dials"].items())
    seeds = f"{best['seeds']} seed{'s' if best['seeds'] > 1 else ''}"
    told = f"best {metric.replace('_', ' ')}: {dials}, {best['mean']:.4f} over {seeds}"
    if best["seeds"] >= SEEDS_FOR_A_CLAIM:
        return told
    return f"{told}; fewer than {SEEDS_FOR_A_CLAIM} seeds each cannot tell such a difference from chance"


def _number(value: float) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"


def _table(title: str, *columns: str) -> Table:
    """A plain table, its numbers to the right."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(title, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right")
    return table
