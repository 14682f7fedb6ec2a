"""A run's steps as a graph: what each read, what became of it, how long it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from tasks.report.drawing.layout import Item, Layout, arrange, reduced
from tasks.report.drawing.svg import element, number, picture, text, titled

WIDTH, HEAD, LINE, FOOT = 158.0, 21.0, 17.0, 5.0
"""Of a box: its width, the height of its title, of each step in it, and below."""
GAP, ROW_GAP, STOP_WIDTH, MARGIN = 12.0, 28.0, 14.0, 3.0
MOST_IN_ROW = 7
LETTERS = 26
"""Of the small type that fit into a line."""


@dataclass(frozen=True)
class Node:
    """One step in the picture."""

    id: str
    title: str
    subtitle: str
    time: str
    tone: str
    hover: str
    share: float = 0.0
    """Of the longest step's time, 0 to 1."""
    link: str = ""


def draw_graph(nodes: Sequence[Node], needs: Mapping[str, Sequence[str]], label: str) -> Markup:
    """Rows from sources at the top to results at the bottom.

    Arrows that follow from others are left out, and steps that read the same and are read by the same stand
    in one box.
    """
    drawn = reduced(needs)
    boxes = grouped(nodes, drawn)
    leader = {node.id: first for first, members in boxes.items() for node in members}
    between = {first: [leader[source] for source in drawn[first]] for first in boxes}
    layout = arrange(between, node_width=WIDTH + GAP, stop_width=STOP_WIDTH, most_in_row=MOST_IN_ROW)
    heights = {first: _height(members) for first, members in boxes.items()}
    tops, floors = _edges(layout, heights)
    arrows = [
        element("path", d=_path(arrow, layout, tops, floors, heights), class_="arrow")
        for arrow in layout.arrows
    ]
    pictures = [
        _box(members, layout.x[first] - GAP / 2 + MARGIN, tops[first]) for first, members in boxes.items()
    ]
    right = max((layout.x[item] + (WIDTH if item in boxes else 0) / 2 for item in layout.x), default=0.0)
    width, height = right - GAP / 2 + 2 * MARGIN, max(floors.values(), default=0.0) + MARGIN
    shown = {"width": number(width), "height": number(height)}
    return picture(width, height, label, *arrows, *pictures, class_="graph", **shown)


def grouped(nodes: Sequence[Node], needs: Mapping[str, Sequence[str]]) -> dict[str, list[Node]]:
    """Steps of one name with the same inputs and the same readers together, by the first of them."""
    readers: dict[str, list[str]] = {node.id: [] for node in nodes}
    for reader, sources in needs.items():
        for source in sources:
            readers[source].append(reader)
    boxes: dict[tuple[object, ...], list[Node]] = {}
    for node in nodes:
        alike = (node.title, tuple(sorted(needs[node.id])), tuple(sorted(readers[node.id])))
        boxes.setdefault(alike, []).append(node)
    return {members[0].id: members for members in boxes.values()}


def _height(members: Sequence[Node]) -> float:
    return HEAD + LINE * len(members) + FOOT


def _edges(layout: Layout, heights: Mapping[str, float]) -> tuple[dict[Item, float], dict[Item, float]]:
    """Where the row of each item begins and ends; a box reaches from its row's top as far as it is high."""
    tops: dict[Item, float] = {}
    floors: dict[Item, float] = {}
    top = MARGIN
    for row in layout.rows:
        tallest = max(heights.get(item, 0.0) if isinstance(item, str) else 0.0 for item in row)
        for item in row:
            tops[item], floors[item] = top, top + tallest
        top += tallest + ROW_GAP
    return tops, floors


def _path(
    arrow: Sequence[Item],
    layout: Layout,
    tops: Mapping[Item, float],
    floors: Mapping[Item, float],
    heights: Mapping[str, float],
) -> str:
    """Straight down through the rows that it crosses, bent between them."""
    x = {item: layout.x[item] - GAP / 2 + MARGIN for item in arrow}
    source = arrow[0]
    assert isinstance(source, str)
    path = f"M{number(x[source])} {number(tops[source] + heights[source])}V{number(floors[source])}"
    for before, after in pairwise(arrow):
        start, end, bend = floors[before], tops[after], ROW_GAP * 0.6
        bends = ((x[before], start + bend), (x[after], end - bend), (x[after], end))
        path += "C" + " ".join(f"{number(across)} {number(down)}" for across, down in bends)
        if after is not arrow[-1]:
            path += f"V{number(floors[after])}"
    return path


def _box(members: Sequence[Node], middle: float, top: float) -> Markup:
    left = middle - WIDTH / 2
    title = members[0].title + (f" ×{len(members)}" if len(members) > 1 else "")
    tones = {node.tone for node in members}
    tone = tones.pop() if len(tones) == 1 else "mixed"
    frame = {"x": left, "y": top, "rx": 6, "width": WIDTH, "height": _height(members)}
    lines = [_line(node, left, top + HEAD + LINE * index) for index, node in enumerate(members)]
    return element(
        "g",
        element("rect", class_="frame", **frame),
        text(left + 8, top + 16, _short(title, LETTERS), class_="name"),
        *lines,
        class_=f"node {tone}",
    )


def _line(node: Node, left: float, top: float) -> Markup:
    """One step: its name and time, on a bar as long as its share of the longest step's time."""
    parts = [
        titled(node.hover),
        element("rect", x=left + 4, y=top, width=WIDTH - 8, height=LINE, class_="hit"),
        text(left + 8, top + 11.5, _short(node.subtitle, LETTERS - 1 - len(node.time)), class_="what"),
        text(left + WIDTH - 8, top + 11.5, node.time, class_="time", text_anchor="end"),
    ]
    if node.share > 0:
        length = max(1.0, node.share * (WIDTH - 16))
        bar = {"x": left + 8, "y": top + LINE - 2.2, "width": length, "height": 1.8}
        parts.append(element("rect", class_="share", **bar))
    return element("a", *parts, href=f"#{node.link}" if node.link else None, class_=node.tone)


def _short(words: str, most: int) -> str:
    return words if len(words) <= most else words[: max(most - 1, 1)] + "…"
