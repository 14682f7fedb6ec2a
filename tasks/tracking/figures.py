"""Pictures of a run, drawn from the files in its product; matplotlib is imported when the first one is drawn.

Figures are made without pyplot, whose global state steps in parallel threads would share.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODEL, BASELINE, MUTED = "#0072b2", "#999999", "#d55e00"  # told apart by colour-blind readers too
Points = list[tuple[float, float]]


def loss_curve(metrics: Path) -> Figure:
    """Training and validation loss over optimizer steps, the learning rate below, from a `metrics.jsonl`.

    Raises:
        ValueError: the file holds no loss.
    """
    records = _records(metrics)
    loss, validation = _points(records, "loss"), _points(records, "validation_loss")
    if not loss and not validation:
        raise ValueError(f"{metrics} holds no 'loss' or 'validation_loss'; expected one JSON object a line")
    figure = _figure(7.2, 4.8)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    upper.plot(*_columns(loss), color=BASELINE, linewidth=0.8, label="training")
    upper.plot(*_columns(validation), color=MODEL, marker="o", markersize=3, label="validation")
    upper.set_ylabel("loss (nats per token)")
    upper.legend(frameon=False)
    if validation:
        step, best = min(validation, key=lambda point: point[1])
        upper.set_title(f"best validation loss {best:.3f} at step {step:.0f}", fontsize=10, loc="left")
    lower.plot(*_columns(_points(records, "learning_rate")), color=MUTED, linewidth=1)
    lower.set_ylabel("rate")
    lower.set_xlabel("optimizer step")
    _tidy(upper, lower)
    return figure


def sweep_chart(sweep: Path) -> Figure:
    """The metric of each variant as a point, the best at the top, from a `sweep.json`.

    Raises:
        ValueError: the variants have no metric in common.
    """
    document = json.loads(sweep.read_text(encoding="utf-8"))
    metric = document.get("metric")
    if not metric:
        raise ValueError(f"{sweep} names no metric; nothing can be drawn of it")
    worst_first = sorted(document["rows"], key=lambda row: row[metric], reverse=document["better"] == "lower")
    figure = _figure(7.2, 1.0 + 0.35 * len(worst_first))
    axes = figure.subplots()
    axes.plot([row[metric] for row in worst_first], range(len(worst_first)), "o", color=MODEL)
    labels = ["  ".join(f"{path}={value}" for path, value in row["dials"].items()) for row in worst_first]
    axes.set_yticks(range(len(worst_first)), labels)
    axes.set_xlabel(f"{metric.replace('_', ' ')} ({document['better']} is better)")
    _tidy(axes)
    return figure


def scores_chart(scores: Path) -> Figure:
    """Bits per byte of model and baseline, over all and by source, with 95 % intervals, from `scores.json`.

    Raises:
        ValueError: the file holds no such scores.
    """
    document = json.loads(scores.read_text(encoding="utf-8"))
    if "bits_per_byte" not in document.get("model", {}):
        raise ValueError(f"{scores} holds no model.bits_per_byte; expected the scores.json of an evaluation")
    groups = [("all", document), *sorted(document.get("sources", {}).items())]
    figure = _figure(7.2, 1.2 + 0.8 * len(groups))
    axes = figure.subplots()
    for row, (_, group) in enumerate(groups):
        _bar(axes, row - 0.2, group["model"]["bits_per_byte"], MODEL, "model")
        if "unigram" in group:
            _bar(axes, row + 0.2, group["unigram"]["bits_per_byte"], BASELINE, "unigram")
    axes.set_yticks(range(len(groups)), [name for name, _ in groups])
    axes.invert_yaxis()
    axes.set_xlabel("bits per byte on held-out text, lower is better (bars: 95 % over documents)")
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))  # each label once
    axes.legend(handles.values(), handles, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    _tidy(axes)
    return figure


def _bar(axes: Axes, row: float, interval: dict[str, float | None], colour: str, label: str) -> None:
    value, low, high = interval["value"], interval.get("low"), interval.get("high")
    if value is None:
        return
    axes.barh(row, value, height=0.36, color=colour, label=label)
    if low is not None and high is not None:
        axes.plot([low, high], [row, row], color="black", linewidth=1)
    axes.annotate(f" {value:.3f}", (max(value, high or value), row), va="center", fontsize=8)


def _figure(width: float, height: float) -> Figure:
    """An empty figure; sizes in inches."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it reports when it first lists the fonts
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _tidy(*all_axes: Axes) -> None:
    for axes in all_axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.08)


def _records(file: Path) -> list[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def _points(records: Sequence[dict[str, Any]], name: str) -> Points:
    found = [(record["step"], record[name]) for record in records if record.get(name) is not None]
    return [(float(step), float(value)) for step, value in found if math.isfinite(value)]


def _columns(points: Points) -> tuple[list[float], list[float]]:
    return [step for step, _ in points], [value for _, value in points]
