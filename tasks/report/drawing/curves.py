"""Lines over a shared axis: training curves, and scores along a dial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from tasks.report.drawing.scale import Scale, spanning
from tasks.report.drawing.svg import element, number, picture, polyline, text, titled

Points = list[tuple[float, float]]

WIDTH, HEIGHT = 380.0, 236.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 84.0, 12.0, 40.0
LINE_HEIGHT = 13.0
MOST_POINTS = 240


@dataclass(frozen=True)
class Series:
    """One line."""

    name: str
    points: Points
    tone: str = "one"
    """The class that gives it its colour, see the style sheet."""
    has_dots: bool = False
    bounds: list[tuple[float, float | None, float | None]] = field(default_factory=list)
    """(x, low, high) of whiskers."""
    unit: str = ""


def curve_chart(
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    label: str,
    skip_share: float = 0.0,
    marks: Sequence[tuple[float, float, str]] = (),
) -> Markup:
    """Lines with axes and a label at the end of each, 380 units wide.

    Args:
        label: what the picture shows, for those who do not see it.
        skip_share: the first share of x does not decide how far y reaches (a loss begins far above the rest);
            what lies above is cut off, and a note says where it began.
        marks: (x, y, words) of points to ring.
    """
    shown = [each for each in series if each.points]
    x_scale = _x_scale(shown)
    kept = [_settled(each.points, x_scale, skip_share) for each in shown]
    bounds = [value for each in shown for _, low, high in each.bounds for value in (low, high)]
    y_scale = spanning([y for points in kept for _, y in points] + bounds, HEIGHT - BOTTOM, TOP)
    parts = [_grid(x_scale, y_scale, x_label, y_label)]
    parts += [_line(each, x_scale, y_scale) for each in shown]
    parts += [_mark(x_scale(x), y_scale(y), words) for x, y, words in marks]
    parts += _end_labels(shown, y_scale)
    if note := _cut_note(shown, y_scale):
        parts.append(text(WIDTH - RIGHT, TOP + 9, note, class_="note", text_anchor="end"))
    return picture(
        WIDTH,
        HEIGHT,
        label,
        *parts,
        class_="chart",
        data_x=_spelled(x_scale),
        data_y=_spelled(y_scale),
    )


def thinned(points: Points, most: int = MOST_POINTS) -> Points:
    """At most so many points: of each stretch the lowest and the highest, so that no peak is lost."""
    if len(points) <= most:
        return points
    num_stretches = most // 2
    kept: Points = []
    for index in range(num_stretches):
        stretch = points[index * len(points) // num_stretches : (index + 1) * len(points) // num_stretches]
        ends = {min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])}
        kept += sorted(ends)
    return kept


def _x_scale(series: Sequence[Series]) -> Scale:
    xs = [x for each in series for x, _ in each.points]
    low, high = min(xs), max(xs)
    return Scale(low, high if high > low else low + 1, LEFT, WIDTH - RIGHT)


def _settled(points: Points, x_scale: Scale, skip_share: float) -> Points:
    """The points that decide how far y reaches."""
    border = x_scale.low + skip_share * (x_scale.high - x_scale.low)
    return [point for point in points if point[0] >= border] or points


def _grid(x_scale: Scale, y_scale: Scale, x_label: str, y_label: str) -> Markup:
    parts = [
        element("path", d=f"M{number(LEFT)} {number(y)}H{number(WIDTH - RIGHT)}", class_="grid")
        + text(LEFT - 6, y + 4, words, class_="tick", text_anchor="end")
        for y, words in y_scale.labels(5)
    ]
    parts += [
        text(x, HEIGHT - BOTTOM + 16, words, class_="tick", text_anchor="middle")
        for x, words in x_scale.labels(4)
    ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(text(middle, HEIGHT - 6, x_label, class_="axis", text_anchor="middle"))
    place = f"translate(11 {number((TOP + HEIGHT - BOTTOM) / 2)}) rotate(-90)"
    parts.append(element("text", y_label, transform=place, class_="axis", text_anchor="middle"))
    return Markup("").join(parts)


def _line(series: Series, x_scale: Scale, y_scale: Scale) -> Markup:
    points = [(x_scale(x), y_scale(y)) for x, y in thinned(series.points)]
    inside = _cut(points, top=TOP)
    parts = [
        element(
            "path",
            d=f"M{number(x_scale(x))} {number(y_scale(low))}V{number(y_scale(high))}",
            class_="whisker",
        )
        for x, low, high in series.bounds
        if low is not None and high is not None
    ]
    parts.append(polyline(inside, class_="line", data_name=series.name, data_unit=series.unit or None))
    if series.has_dots:
        parts += [
            element("circle", titled(f"{series.name}: {y:.4g} at {x:g}"), cx=x_scale(x), cy=y_scale(y), r=3)
            for x, y in series.points
            if y_scale(y) >= TOP - 0.1
        ]
    return element("g", *parts, class_=f"series {series.tone}")


def _cut(points: Points, top: float) -> Points:
    """The line from where it first comes below the upper edge."""
    for index, (x, y) in enumerate(points):
        if y >= top:
            if index == 0:
                return points
            x_before, y_before = points[index - 1]
            share = (top - y_before) / (y - y_before)
            return [(x_before + share * (x - x_before), top), *_held(points[index:], top)]
    return []


def _held(points: Points, top: float) -> Points:
    return [(x, max(y, top)) for x, y in points]


def _cut_note(series: Sequence[Series], y_scale: Scale) -> str:
    above = [each for each in series if each.points[0][1] > y_scale.high]
    return "; ".join(f"{each.name} begins at {each.points[0][1]:.2f}" for each in above)


def _mark(x: float, y: float, words: str) -> Markup:
    return element("circle", titled(words), cx=x, cy=y, r=6, class_="ring")


def _end_labels(series: Sequence[Series], y_scale: Scale) -> list[Markup]:
    """Names at the ends of the lines, moved apart where they would overlap."""
    wanted = [y_scale(each.points[-1][1]) + 4 for each in series]
    places = spread(wanted, LINE_HEIGHT, TOP + 8, HEIGHT - BOTTOM + 4)
    return [
        text(WIDTH - RIGHT + 9, y, each.name, class_=f"end {each.tone}")
        for each, y in zip(series, places, strict=True)
    ]


def spread(wanted: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """The places nearest to those wanted that are at least `distance` apart, in their order."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    placed: dict[int, float] = {}
    edge = low
    for index in order:
        placed[index] = max(wanted[index], edge)
        edge = placed[index] + distance
    edge = high
    for index in reversed(order):
        placed[index] = min(placed[index], edge)
        edge = placed[index] - distance
    return [placed[index] for index in range(len(wanted))]


def _spelled(scale: Scale) -> str:
    """For the script that reads values back from places."""
    return " ".join(f"{value:.6g}" for value in (scale.low, scale.high, scale.start, scale.end))
