"""Tables of scores in the terminal: models beside each other, with intervals where they decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tasks.words import interval

MAIN_METRICS = ("accuracy", "exact_match", "rouge1", "rouge2", "rougeL")
"""What the screen shows of an exam; the rest stands in the report."""


def show_comparison(out: Console, comparison: Mapping[str, Any]) -> None:
    """Bits per byte of each model by source, and how far it is from the reference on all documents."""
    models, reference = comparison["models"], comparison["reference"]
    groups = list(next(iter(models.values())))
    table = table_of(
        f"{comparison['side']} side, bits per byte",
        *groups,
        f"all, less {reference} ({comparison['interval']})",
    )
    for model, scores in models.items():
        difference = comparison["differences"].get(model, {}).get("all")
        values = [f"{scores[group]['bits_per_byte']['value']:.3f}" for group in groups]
        table.add_row(model, *values, interval(difference, 3, signed=True) if difference else "")
    out.print()
    out.print(table)


def show_exam(out: Console, exam: Mapping[str, Any]) -> None:
    """A table for each exercise: models and cheap baselines by metric."""
    for exercise, marks in exam["exercises"].items():
        metrics = [metric for metric in MAIN_METRICS if metric in marks["metrics"]]
        title = f"{exercise} ({marks['claim']}, {marks['items']} questions of {marks['documents']} chapters)"
        table = table_of(title, *(metric.replace("_", " ") for metric in metrics))
        who = list(dict.fromkeys(name for metric in metrics for name in marks["metrics"][metric]))
        for name in who:
            cells = [marks["metrics"][metric].get(name) for metric in metrics]
            table.add_row(name, *(interval(cell, 2) if cell else "" for cell in cells))
        out.print()
        out.print(table)


def table_of(title: str, *columns: str) -> Table:
    """A plain table, its numbers to the right."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(title, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def rows_by(metric: str, rows: Sequence[Mapping[str, Any]], better: str | None) -> list[Mapping[str, Any]]:
    """Rows with the best first."""
    return sorted(rows, key=lambda row: row[metric], reverse=better == "higher")
