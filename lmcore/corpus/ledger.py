"""Which document is on which side, for ever: what was trained on once is never tested on later.

A CSV file with the columns digest, side, source, sorted by digest; small, readable, and kept in git.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, get_args

Side = Literal["train", "validation", "test"]
SIDES: tuple[Side, ...] = get_args(Side)
HEADER = ["digest", "side", "source"]


class Place(NamedTuple):
    """Where a document stands, and the source that it came from first."""

    side: Side
    source: str


def read_ledger(path: Path | None) -> dict[str, Place]:
    """The place of each digest; none for no ledger, or one that does not exist yet.

    Raises:
        ValueError: a line that is no ledger line, or a digest on two sides.
    """
    if path is None or not path.exists():
        return {}
    places: dict[str, Place] = {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        if (header := next(rows, [])) != HEADER:
            begins, expected = ",".join(header), ",".join(HEADER)
            raise ValueError(f"{path}: begins with {begins!r}, expected {expected!r}; restore it from git")
        for row in rows:
            if len(row) != len(HEADER) or row[1] not in SIDES:
                line = ",".join(row)
                raise ValueError(f"{path}: line {rows.line_num} is {line!r}, expected digest,side,source")
            place = Place(SIDES[SIDES.index(row[1])], row[2])
            if places.setdefault(row[0], place) != place:
                raise ValueError(
                    f"{path}: line {rows.line_num} puts {row[0][:12]} on {place.side}, an earlier one on "
                    f"{places[row[0]].side}; delete the one that was merged in by mistake"
                )
    return places


def write_ledger(path: Path, places: Mapping[str, Place]) -> None:
    """Write all places, sorted by digest."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(HEADER)
        rows.writerows([digest, *places[digest]] for digest in sorted(places))
