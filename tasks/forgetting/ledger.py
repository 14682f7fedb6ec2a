"""`forgotten.jsonl`: the files that no run reads any more, by path and by bytes; small, meant for git.

One JSON object a line. It stands in the workspace's root, beside `accepted.yaml`; whoever takes a line out
lets the file in again. Excluded is what lies at one of the places of a line, whatever is in it by now, and
what has the bytes of one, wherever it lies.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from lmcore.config import Config, SettingsError, explain
from tasks.engine.workspace import Workspace

FILE = "forgotten.jsonl"


class Place(NamedTuple):
    """Where a source's file lies."""

    source: str
    """The name by which experiments choose it."""
    file: str
    """Relative to the source's folder."""
    path: str
    """Relative to the workspace where it lies inside, else absolute."""

    def __str__(self) -> str:
        return f"{self.source}/{self.file}"


class Forgotten(Config):
    """One line."""

    when: str
    """UTC, ISO 8601, to the second."""
    who: str
    why: str = ""
    places: tuple[Place, ...]
    sha256: tuple[str, ...]
    """Of the bytes that it had, all that are known."""

    def covers(self, place: Place, digest: str) -> bool:
        """Whether a file is left out: it lies there, or has these bytes."""
        named = {(known.source, known.file) for known in self.places}
        paths = {known.path for known in self.places}
        return digest in self.sha256 or place.path in paths or (place.source, place.file) in named

    @property
    def told(self) -> str:
        """`forgotten on 2026-11-21: its writer asked for it`."""
        return f"forgotten on {self.when[:10]}" + (f": {self.why}" if self.why else "")


_supposed: ContextVar[tuple[Forgotten, ...]] = ContextVar("supposed", default=())


@contextmanager
def supposing(line: Forgotten) -> Iterator[None]:
    """As if the line stood in the file already: for a plan of what would come of it."""
    token = _supposed.set((*_supposed.get(), line))
    try:
        yield
    finally:
        _supposed.reset(token)


def read_forgotten(workspace: Workspace) -> list[Forgotten]:
    """All lines, oldest first; half a line at the end, which a kill has left, is passed over.

    Raises:
        SettingsError: a line does not read.
    """
    try:
        content = (workspace.root / FILE).read_bytes()
    except FileNotFoundError:
        return [*_supposed.get()]
    *lines, rest = content.split(b"\n")
    found = [_line(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if rest.strip() and _is_json(rest):  # an editor may have left out the last end of line
        found.append(_line(len(lines) + 1, rest))
    return [*found, *_supposed.get()]


def add_forgotten(workspace: Workspace, line: Forgotten) -> None:
    """Put a line behind the others; it is on the disk when this returns."""
    path = workspace.root / FILE
    content = path.read_bytes() if path.exists() else b""
    whole = content if not content or content.endswith(b"\n") else _mended(content)
    text = json.dumps(line.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)
    scratch = path.with_name(f".{FILE}.{os.getpid()}")
    with scratch.open("wb") as file:
        file.write(whole + text.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def place_of(workspace: Workspace, source: str, root: Path, file: str) -> Place:
    """Where a source's file lies, however its folder was spelled."""
    return Place(source, file, workspace.address(Path(os.path.normpath(root / file))))


def leave_out(
    workspace: Workspace, source: str, root: Path, digests: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, Forgotten]]:
    """A source's files by digest, without those that were forgotten; and those, with the line that says so.

    Args:
        digests: relative path -> SHA-256.
    """
    lines = read_forgotten(workspace)
    gone = {
        file: line
        for file, digest in digests.items()
        for line in lines
        if line.covers(place_of(workspace, source, root, file), digest)
    }
    return {file: digest for file, digest in digests.items() if file not in gone}, gone


def why_gone(workspace: Workspace, source: str, reasons: list[str]) -> list[str]:
    """What a plan says of files that are gone; of forgotten ones, that they were forgotten."""
    told = {
        f"{place.file} is gone": f"{place.file} is gone, {line.told}"
        for line in read_forgotten(workspace)
        for place in line.places
        if place.source == source
    }
    return [told.get(reason, reason) for reason in reasons]


def _line(number: int, text: bytes) -> Forgotten:
    try:
        document: Any = json.loads(text)
        return Forgotten.model_validate(document)
    except ValidationError as error:
        what = explain(error, Forgotten)
    except ValueError as error:
        what = f"no JSON ({error})"
    raise SettingsError(f"{FILE}, line {number}: {what}; bring the file back from git, or mend the line")


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _mended(content: bytes) -> bytes:
    """Content of which the last line has no end: ended where it is whole, else cut off."""
    whole, _, rest = content.rpartition(b"\n")
    return content + b"\n" if _is_json(rest) else whole + (b"\n" if whole else b"")
