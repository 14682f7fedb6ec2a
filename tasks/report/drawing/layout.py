"""A graph without cycles in layers, by the four steps of Sugiyama, Tagawa and Toda (1981), each kept plain.

Rows by longest path; long arrows get a stop in each row that they cross; the order in a row follows the
mean place of its neighbours; places come as near to the neighbours as the order and the widths allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Needs = Mapping[str, Sequence[str]]
"""Node -> the nodes that it reads; each node stands behind those that it reads."""

ORDER_SWEEPS, PLACE_SWEEPS = 12, 120


@dataclass(frozen=True)
class Stop:
    """Where a long arrow crosses a row."""

    source: str
    target: str
    row: int


Item = str | Stop


@dataclass(frozen=True)
class Layout:
    """Where everything lies: x of each item's middle, and rows from the top."""

    rows: list[list[Item]]
    x: dict[Item, float]
    arrows: list[list[Item]]
    """Each from a node over its stops to the node that reads it."""

    @property
    def width(self) -> float:
        return max(self.x.values(), default=0.0)


def arrange(needs: Needs, *, node_width: float, stop_width: float, most_in_row: int) -> Layout:
    """Lay out a graph: left edges start at 0, items of a row keep their distance."""
    drawn = reduced(needs)
    row_of = _rows(drawn, most_in_row)
    arrows = [_arrow(source, target, row_of) for target, sources in drawn.items() for source in sources]
    rows: list[list[Item]] = [[] for _ in range(max(row_of.values(), default=-1) + 1)]
    for node, row in row_of.items():
        rows[row].append(node)
    for arrow in arrows:
        for item in arrow[1:-1]:
            assert isinstance(item, Stop)
            rows[item.row].append(item)
    links = _links(arrows)
    rows = _ordered(rows, links)
    widths = {item: stop_width if isinstance(item, Stop) else node_width for row in rows for item in row}
    return Layout(rows, _placed(rows, links, widths), arrows)


def reduced(needs: Needs) -> dict[str, list[str]]:
    """Without the arrows that follow from others: a -> c goes where a -> b -> c is drawn."""
    above: dict[str, set[str]] = {}
    kept: dict[str, list[str]] = {}
    for node, sources in needs.items():
        sources = [source for source in dict.fromkeys(sources) if source in above]
        implied = set().union(*(above[source] for source in sources))
        kept[node] = [source for source in sources if source not in implied]
        above[node] = implied.union(sources)
    return kept


def _rows(needs: Needs, most_in_row: int) -> dict[str, int]:
    """Each node one row below the lowest that it reads; sources move down to their first reader."""
    row_of: dict[str, int] = {}
    for node, sources in needs.items():
        row_of[node] = max((row_of[source] + 1 for source in sources), default=0)
    for node in reversed(list(needs)):
        readers = [row_of[reader] for reader, sources in needs.items() if node in sources]
        if not needs[node] and readers:
            row_of[node] = min(readers) - 1
    return _broken(row_of, most_in_row)


def _broken(row_of: dict[str, int], most_in_row: int) -> dict[str, int]:
    """Rows that are too long become several."""
    result: dict[str, int] = {}
    below = 0
    for row in range(max(row_of.values(), default=-1) + 1):
        nodes = [node for node, place in row_of.items() if place == row]
        num_rows = -(-len(nodes) // most_in_row)
        for index, node in enumerate(nodes):
            result[node] = below + index * num_rows // len(nodes)
        below += num_rows
    return {node: result[node] for node in row_of}


def _arrow(source: str, target: str, row_of: Mapping[str, int]) -> list[Item]:
    between = range(row_of[source] + 1, row_of[target])
    return [source, *(Stop(source, target, row) for row in between), target]


def _links(arrows: Sequence[Sequence[Item]]) -> dict[Item, list[Item]]:
    """Each item's neighbours, above and below."""
    links: dict[Item, list[Item]] = {}
    for arrow in arrows:
        for one, other in pairwise(arrow):
            links.setdefault(one, []).append(other)
            links.setdefault(other, []).append(one)
    return links


def _ordered(rows: list[list[Item]], links: Mapping[Item, list[Item]]) -> list[list[Item]]:
    """The order with the fewest crossings that sweeps down and up come upon."""
    best, fewest = rows, _crossings(rows, links)
    current = [list(row) for row in rows]
    for sweep in range(ORDER_SWEEPS):
        indices = range(1, len(rows)) if sweep % 2 == 0 else range(len(rows) - 2, -1, -1)
        for index in indices:
            fixed = current[index - 1 if sweep % 2 == 0 else index + 1]
            current[index] = _by_neighbours(current[index], fixed, links)
        crossings = _crossings(current, links)
        if crossings < fewest:
            best, fewest = [list(row) for row in current], crossings
    return best


def _by_neighbours(row: list[Item], fixed: list[Item], links: Mapping[Item, list[Item]]) -> list[Item]:
    """Sorted by the mean place of the neighbours in the fixed row; those without keep their place."""
    places = {item: index / max(len(fixed) - 1, 1) for index, item in enumerate(fixed)}
    wanted: dict[Item, float] = {}
    for index, item in enumerate(row):
        near = [places[other] for other in links.get(item, []) if other in places]
        wanted[item] = sum(near) / len(near) if near else index / max(len(row) - 1, 1)
    return sorted(row, key=lambda item: wanted[item])


def _crossings(rows: Sequence[Sequence[Item]], links: Mapping[Item, list[Item]]) -> int:
    return sum(
        (one[0] - other[0]) * (one[1] - other[1]) < 0
        for upper, lower in pairwise(rows)
        for pairs in [list(_pairs(upper, lower, links))]
        for index, one in enumerate(pairs)
        for other in pairs[:index]
    )


def _pairs(
    upper: Sequence[Item], lower: Sequence[Item], links: Mapping[Item, list[Item]]
) -> Iterator[tuple[int, int]]:
    places = {item: index for index, item in enumerate(lower)}
    for index, item in enumerate(upper):
        yield from ((index, places[other]) for other in links.get(item, []) if other in places)


def _placed(
    rows: Sequence[Sequence[Item]], links: Mapping[Item, list[Item]], widths: Mapping[Item, float]
) -> dict[Item, float]:
    """Middles of all items, moved towards their neighbours row by row until they settle."""
    x: dict[Item, float] = {}
    for row in rows:
        x |= dict(zip(row, _row_places([0.0] * len(row), [widths[item] for item in row]), strict=True))
    for sweep in range(PLACE_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = [_mean(_pulls(item, links, x), x[item]) for item in row]
            x |= dict(zip(row, _row_places(wanted, [widths[item] for item in row]), strict=True))
    for above, row in pairwise(rows):  # at last straight below what each reads, as far as there is room
        wanted = [
            _mean([x[other] for other in links.get(item, []) if other in above], x[item]) for item in row
        ]
        x |= dict(zip(row, _row_places(wanted, [widths[item] for item in row]), strict=True))
    left = min((x[item] - widths[item] / 2 for row in rows for item in row), default=0.0)
    return {item: place - left for item, place in x.items()}


def _pulls(item: Item, links: Mapping[Item, list[Item]], x: Mapping[Item, float]) -> list[float]:
    """Where the neighbours are; between two stops the pull is stronger, so that long arrows run straight."""
    return [
        x[other]
        for other in links.get(item, [])
        for _ in range(4 if isinstance(item, Stop) and isinstance(other, Stop) else 1)
    ]


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _row_places(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """The places nearest to those wanted (least squares) that keep order and widths.

    Less the width of all before it, an item may not lie left of the one before: isotonic regression, by
    pooling neighbours that are in each other's way.
    """
    offsets = [0.0]
    for before, after in pairwise(widths):
        offsets.append(offsets[-1] + (before + after) / 2)
    pools: list[list[float]] = []
    for place, offset in zip(wanted, offsets, strict=False):
        pools.append([place - offset])
        while len(pools) > 1 and _mean(pools[-2], 0) > _mean(pools[-1], 0):
            last = pools.pop()
            pools[-1] += last
    free = [_mean(pool, 0) for pool in pools for _ in pool]
    return [place + offset for place, offset in zip(free, offsets, strict=False)]
