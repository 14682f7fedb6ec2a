"""Bars whose lengths are shares of one whole, and histograms; positions are per cent of the width."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from tasks.report.drawing.svg import element, number, picture, text, titled

HEIGHT = 100.0
BAR_GAP = 2.0


def stacked_bar(parts: Sequence[tuple[str, float, str]], whole: float) -> Markup:
    """One bar of (name, amount, tone) pieces; a bar of `whole` would fill the width."""
    pieces, x = [], 0.0
    for name, amount, tone in parts:
        width = 100 * amount / whole if whole else 0.0
        if width > 0:
            words = titled(f"{name}: {amount:,.0f}")
            box = {"x": round(x, 2), "width": round(width, 2), "height": 14}
            pieces.append(element("rect", words, y=0, class_=f"fill {tone}", **box))
        x += width
    label = ", ".join(f"{name} {amount:,.0f}" for name, amount, _ in parts)
    return picture(100, 14, label, *pieces, class_="stack", preserveAspectRatio="none")


def histogram(bars: Sequence[tuple[str, int]], label: str, tone: str, highest: int) -> Markup:
    """Upright bars of (words under the bar, count), all as wide; `highest` fills the height."""
    slot, parts = 34.0, []
    for index, (words, count) in enumerate(bars):
        height = HEIGHT * count / highest if highest else 0.0
        left = index * slot + BAR_GAP
        top = 16 + HEIGHT - height
        box = {"x": left, "y": top, "width": slot - 2 * BAR_GAP, "height": height}
        parts.append(
            element("rect", titled(f"{words} words: {count:,} documents"), class_=f"fill {tone}", **box)
        )
        middle = left + slot / 2 - BAR_GAP
        if count:
            parts.append(text(middle, top - 4, f"{count:,}", class_="tick", text_anchor="middle"))
        parts.append(text(middle, HEIGHT + 30, words, class_="tick", text_anchor="middle"))
    width = len(bars) * slot
    parts.append(element("path", d=f"M0 {number(HEIGHT + 16)}H{number(width)}", class_="base"))
    return picture(
        width, HEIGHT + 36, label, *parts, class_="histogram", style=f"max-width:{number(width)}px"
    )


def limit_histogram(
    counts: Sequence[int], low: float, high: float, bound: float, *, is_least: bool, label: str
) -> Markup:
    """Narrow bars over a line of values, in another tone beyond a limit, which is marked.

    Args:
        counts: documents in bins of one width from `low` to `high`.
        is_least: whether values below the limit are refused, or those above it.
    """
    slot, base, highest = 10.0, HEIGHT + 16, max(counts, default=0)
    width = slot * len(counts)
    at = width * (bound - low) / (high - low) if high > low else 0.0
    parts = []
    for index, count in enumerate(counts):
        if count:
            # A single document among thousands is to be seen, too.
            height = max(HEIGHT * count / highest, 2.0)
            middle = (index + 0.5) * slot
            is_out = (middle < at) == is_least
            begin, end = (low + (high - low) * (index + step) / len(counts) for step in (0, 1))
            words = titled(f"{begin:.3g} to {end:.3g}: {count:,} documents")
            box = {"x": index * slot + 0.5, "y": base - height, "width": slot - 1, "height": height}
            parts.append(element("rect", words, class_="fill bad" if is_out else "fill one", **box))
    parts.append(element("path", d=f"M0 {number(base)}H{number(width)}", class_="base"))
    parts.append(element("path", d=f"M{number(at)} 6V{number(base)}", class_="limit"))
    anchor = "start" if at < width / 2 else "end"
    parts.append(
        text(at + (4 if anchor == "start" else -4), 14, f"limit {bound:g}", class_="tick", text_anchor=anchor)
    )
    if low >= 0:  # else it is but the room that the bars beyond the limit need
        parts.append(text(0, base + 14, _value(low), class_="tick"))
    parts.append(text(width, base + 14, _value(high), class_="tick", text_anchor="end"))
    return picture(width, base + 20, label, *parts, class_="histogram")


def _value(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
