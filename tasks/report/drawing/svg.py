"""Elements of SVG as text. Everything that comes in is escaped, unless it is markup already."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

Attribute = str | float | int | None


def element(name: str, *children: object, **attributes: Attribute) -> Markup:
    """`element("text", "a < b", x=1, class_="label")`; `_` in names stands for `-`, None leaves one out."""
    spelled = "".join(
        f' {attribute.rstrip("_").replace("_", "-")}="{escape(_spell(value))}"'
        for attribute, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(escape(child) for child in children)
    return Markup(f"<{name}{spelled}>{inside}</{name}>" if inside else f"<{name}{spelled}/>")


def picture(width: float, height: float, label: str, /, *children: object, **attributes: Attribute) -> Markup:
    """An `<svg>` with its own coordinates; `label` is what a screen reader says of it."""
    box = f"0 0 {number(width)} {number(height)}"
    return element("svg", *children, viewBox=box, role="img", aria_label=label, **attributes)


def text(x: float, y: float, words: object, **attributes: Attribute) -> Markup:
    """Words at a place."""
    return element("text", str(words), x=x, y=y, **attributes)


def titled(words: str) -> Markup:
    """What is shown when a pointer rests on the element around it."""
    return element("title", words)


def polyline(points: Iterable[tuple[float, float]], **attributes: Attribute) -> Markup:
    """A line through points."""
    path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    return element("polyline", points=path, **attributes)


def number(value: float) -> str:
    """A coordinate to a tenth, without zeros that say nothing: `12`, `12.3`, `-0.5`."""
    rounded = f"{value:.1f}"
    rounded = rounded.removesuffix(".0")
    return "0" if rounded == "-0" else rounded


def _spell(value: Attribute) -> str:
    return number(value) if isinstance(value, float) else str(value)
