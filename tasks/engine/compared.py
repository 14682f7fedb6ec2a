"""What differs first between two makings of a product: a file, and where one can be read, a number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lmcore.lineage import Manifest, file_digest, list_product

_LONGEST = 60


def first_difference(product: Manifest, folder: Path, made: Path) -> str | None:
    """The first file of a product that has other bytes in `made`; None if all are equal."""
    there = list_product(made)
    for name in sorted({*product.files, *there}):
        if name not in there:
            return f"{name} was not made"
        if name not in product.files:
            return f"{name} is new"
        was, now = product.files[name].sha256, file_digest(made / name)
        if was != now:
            return _first_number(folder / name, made / name) or f"{name} {was[:8]} -> {now[:8]}"
    return None


def first_in_records(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> str | None:
    """The first value that differs between records, as `loss 5.25 -> 5.5 at step 3`; all digits count."""
    for number, (was, now) in enumerate(zip(old, new, strict=False), start=1):
        if found := _first_value(was, now):
            return f"{found} at " + (f"step {was['step']}" if "step" in was else f"line {number}")
    return None if len(old) == len(new) else f"{len(old)} records -> {len(new)}"


def read_records(file: Path) -> list[dict[str, Any]]:
    """The records of a file of JSON lines."""
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def _first_number(old: Path, new: Path) -> str | None:
    """What differs first in a file of JSON or of JSON lines; None in any other."""
    found = None
    with suppress(OSError, ValueError):
        if old.suffix == ".json":
            found = _first_value(json.loads(old.read_bytes()), json.loads(new.read_bytes()))
        elif old.suffix == ".jsonl":
            found = first_in_records(read_records(old), read_records(new))
    return f"{old.name}: {found}" if found else None


def _first_value(old: Any, new: Any) -> str | None:
    was, now = dict(_leaves(old)), dict(_leaves(new))
    for path in [*was, *(path for path in now if path not in was)]:
        before, after = (json.dumps(each[path]) if path in each else "nothing" for each in (was, now))
        if before != after:
            return f"{path} {before[:_LONGEST]} -> {after[:_LONGEST]}"
    return None


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{number}]")
    else:
        yield path, value
