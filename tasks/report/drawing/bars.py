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
