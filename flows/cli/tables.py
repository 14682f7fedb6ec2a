"""Plain tables, and answers for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

LABEL = 12


def table(*titles: str, numbers: Iterable[str] = ()) -> Table:
    """A table without lines; those of `numbers` stand to the right, others fold where it is narrow."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    right = set(numbers)
    for title in titles:
        is_number = title in right
        made.add_column(title, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    return made


def cells(*values: object) -> list[Text]:
    """Values as they are: nothing in a text is markup, numbers are grouped."""
    return [Text(f"{value:,}" if isinstance(value, int) else str(value)) for value in values]


def excerpt(text: str, most: int) -> str:
    """The beginning of a text on one line; what would steer a terminal is left out."""
    line = "".join(filter(str.isprintable, " ".join(text.split())))
    return line[:most] + (" …" if len(line) > most else "")


def labelled(out: Console, label: str, line: str) -> None:
    """A line behind a label; where a terminal is too narrow it goes on below itself."""
    if not out.is_terminal:
        out.print(Text(f"  {label:<{LABEL}}{line}"))
        return
    grid = Table.grid(padding=(0, 0, 0, 2))
    grid.add_column(width=LABEL, style="dim")
    grid.add_column(overflow="fold")
    grid.add_row(label, Text(line))
    out.print(grid)


def print_json(document: Any) -> None:
    """For programs: one document, in the order of its rows."""
    sys.stdout.write(json.dumps(document, indent=1, ensure_ascii=False, default=str) + "\n")


def print_csv(names: Iterable[str], rows: Iterable[Mapping[str, Any] | tuple[Any, ...]]) -> None:
    """With a line of names."""
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(row.values() if isinstance(row, Mapping) else row for row in rows)
