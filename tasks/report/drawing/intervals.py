"""A dot and its interval, drawn as wide as the table cell around it; positions are per cent of the cell.

The picture is stretched to the cell, so nothing in it may have a shape that stretching would show: lines
keep their width (`vector-effect`), and a dot is a line of no length with round ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from tasks.report.drawing.scale import Scale, spanning
from tasks.report.drawing.svg import element, number

Interval = Mapping[str, float | None]
"""value, low and high; no bounds where nothing is known of the spread."""

START, END = 3.0, 97.0
HEIGHT = 22


def scale_for(intervals: Sequence[Interval], *, zero: bool = False) -> Scale:
    """One scale for all rows of a table; with `zero`, 0 lies on it too."""
    values = [entry.get(bound) for entry in intervals for bound in ("value", "low", "high")]
    return spanning([*values, 0.0] if zero else values, START, END, margin=0.04)


def interval_cell(entry: Interval, scale: Scale, words: str, tone: str, *, at: float | None = None) -> Markup:
    """One row's dot with its interval.

    Args:
        words: shown when a pointer rests on it, and read aloud.
        tone: the class that gives it its colour.
        at: where to draw a line through all rows, such as 0.
    """
    value, low, high = entry["value"], entry.get("low"), entry.get("high")
    middle = HEIGHT / 2
    parts = [element("title", words)]
    if at is not None:
        parts.append(element("path", d=f"M{number(scale(at))} 0V{HEIGHT}", class_="zero"))
    if low is not None and high is not None:
        line = f"M{number(scale(low))} {number(middle)}H{number(scale(high))}"
        parts.append(element("path", d=line, class_="span"))
    if value is not None:
        parts.append(element("path", d=f"M{number(scale(value))} {number(middle)}h.01", class_="dot"))
    return _stretched(*parts, class_=f"interval {tone}", aria_label=words)


def axis_cell(scale: Scale, *, signed: bool = False, about: int = 4) -> Markup:
    """The head of such a column: ticks with their numbers, placed by per cent."""
    ticks = [
        element("span", words, style=f"left:{number(position)}%")
        for position, words in scale.labels(about, signed)
    ]
    return element("div", *ticks, class_="axis-row")


def _stretched(*parts: Markup, class_: str, aria_label: str) -> Markup:
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 100 {HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        class_=class_,
        aria_label=aria_label,
    )
