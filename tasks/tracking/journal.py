"""The journal of a registered model: each look, verdict and move of its aliases, one JSON object a line.

`releases/<model>.jsonl` in the workspace, append-only, small, meant for git. A move is written here, and on
the disk, before any alias moves; `done` behind it when all have. What a kill cuts off in the middle of a line
was never done on its word, so the next writer takes it away.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.engine.locks import lock
from tasks.tracking.store import TrackingError

LOCK = Path(".lm") / "registry.lock"
FOLDER = "releases"
KINDS = ("look", "verdict", "move", "done", "forgotten")
HEAD = ("id", "when", "who", "kind")
NEEDED = {"move": {"cause", "why", "moves", "digests"}, "done": {"of"}}
LONGEST_NAME = 200
"""Bytes of a model's name, which is also a file's."""
_held = threading.local()


class JournalError(TrackingError):
    """A journal cannot be used as it is; the text is one line with the cure."""


@dataclass(frozen=True)
class Entry:
    """One line."""

    id: int
    """1, 2, ...: the number of the line."""
    when: str
    """UTC, ISO 8601, to the second."""
    who: str
    """`user@host`, and the flow run where one did it."""
    kind: str
    """`look`, `verdict`, `move`, `done`, or `forgotten`: what a version saw and no run reads any more."""
    facts: Mapping[str, Any]
    """All that stands behind the kind."""

    def line(self) -> bytes:
        """As it stands in the file, with the end of line."""
        head = {"id": self.id, "when": self.when, "who": self.who, "kind": self.kind}
        return (json.dumps({**head, **self.facts}, ensure_ascii=False, allow_nan=False) + "\n").encode()


class Journal:
    """Reads and appends; any number of processes may do both at once.

    Raises:
        JournalError: the name cannot be a registered model's; or, when it is read, a line is damaged.
    """

    def __init__(self, workspace: Path, model: str, who: str | None = None) -> None:
        check_name(model)
        self.workspace, self.model = workspace, model
        self.path = workspace / FOLDER / f"{model}.jsonl"
        self.who = who or whoami()

    def entries(self) -> list[Entry]:
        """All whole lines, oldest first; none if there is no journal."""
        return self._read()[0]

    def looks(self, test_set: str | None = None) -> list[Entry]:
        """The looks so far: at all test sets, or at the one of this digest."""
        looks = [entry for entry in self.entries() if entry.kind == "look"]
        return [entry for entry in looks if test_set in (None, entry.facts.get("test_set"))]

    def pending(self) -> list[Entry]:
        """Moves that were begun and not finished; more than one only where a file was edited."""
        entries = self.entries()
        done = {entry.facts.get("of") for entry in entries if entry.kind == "done"}
        return [entry for entry in entries if entry.kind == "move" and entry.id not in done]

    def torn(self) -> int:
        """Bytes of half a line at the end, which the next `append` cuts off."""
        return len(self._bytes()) - self._read()[1]

    def append(self, kind: str, **facts: Any) -> Entry:
        """Write one line; it is on the disk when this returns, or (an error) not in the file at all."""
        if kind not in KINDS or set(facts) & set(HEAD):
            raise ValueError(f"a line of kind {kind!r} with {sorted(facts)}: expected one of {KINDS}")
        with holding(self.workspace):
            entries, sound = self._read()
            now = datetime.now(UTC).isoformat(timespec="seconds")
            entry = Entry(len(entries) + 1, now, self.who, kind, facts)
            self._write(entry.line(), sound)
        return entry

    def cut(self) -> None:
        """Take away half a line at the end."""
        with holding(self.workspace):
            if self.path.exists():
                self._write(b"", self._read()[1])

    def _bytes(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""

    def _read(self) -> tuple[list[Entry], int]:
        """The whole lines, and how many bytes they take."""
        content = self._bytes()
        *lines, rest = content.split(b"\n")
        entries = [self._entry(number, line) for number, line in enumerate(lines, start=1)]
        try:  # an editor may have left out the last end of line
            return [*entries, self._entry(len(lines) + 1, rest)], len(content)
        except JournalError:
            return entries, len(content) - len(rest)

    def _entry(self, number: int, line: bytes) -> Entry:
        try:
            document = json.loads(line)
            head = {name: document.pop(name) for name in HEAD}
        except (ValueError, AttributeError, KeyError, TypeError):
            raise self._damaged(number, "is no line of a journal") from None
        if head["id"] != number or head["kind"] not in KINDS:
            raise self._damaged(number, f"says {head['kind']} {head['id']}, expected the id {number}")
        if lacking := NEEDED.get(head["kind"], set()) - set(document):
            raise self._damaged(number, f"lacks {', '.join(sorted(lacking))}")
        return Entry(**head, facts=document)

    def _damaged(self, number: int, what: str) -> JournalError:
        where = f"{FOLDER}/{self.path.name}"
        cure = "bring the file back from git (of two that grew apart keep one, whole)"
        return JournalError(f"{where}: line {number} {what}; {cure}")

    def _write(self, line: bytes, sound: int) -> None:
        """Put a line behind the sound bytes; after an error the file ends where they do."""
        is_new = not self.path.exists()
        self.path.parent.mkdir(exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if sound and line and os.pread(file, 1, sound - 1) != b"\n":
                line = b"\n" + line
            os.ftruncate(file, sound)
            try:
                _write_all(file, line, sound)
            except OSError:
                os.ftruncate(file, sound)
                raise
            os.fsync(file)
        finally:
            os.close(file)
        if is_new:
            for folder in (self.path.parent, self.path.parent.parent):
                _sync_folder(folder)


def journals(workspace: Path) -> list[Journal]:
    """The journals of all models that have one, by name."""
    return [Journal(workspace, path.stem) for path in sorted((workspace / FOLDER).glob("*.jsonl"))]


def check_name(model: str) -> None:
    """Refuse what names no registered model.

    Raises:
        JournalError: with what was expected.
    """
    if not model.strip() or set(model) & set("/:\0") or len(os.fsencode(model)) > LONGEST_NAME:
        raise JournalError(
            f"'{model}' cannot name a registered model: expected a name without '/' and ':', "
            f"of at most {LONGEST_NAME} bytes"
        )


@contextmanager
def holding(workspace: Path) -> Iterator[None]:
    """The registry's lock; a thread that holds it may take it again."""
    mine: set[Path] = _held.__dict__.setdefault("paths", set())
    path = workspace.resolve() / LOCK
    if path in mine:
        yield
        return
    with lock(path):
        mine.add(path)
        try:
            yield
        finally:
            mine.discard(path)


def whoami() -> str:
    """`user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _write_all(file: int, line: bytes, start: int) -> None:
    while line:
        written = os.pwrite(file, line, start)
        line, start = line[written:], start + written


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
