"""`lm forget`: first the line by which no run reads the file again, then all that holds its text.

Before anything goes, what is to go is written down in `.lm/forgetting/`: a killed command is finished by the
same command, also when the file and the products by which its words were known are gone already.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from tasks.engine.leftovers import broken_links, hold_all, remove
from tasks.engine.workspace import Workspace
from tasks.forgetting.away import Away, find_away
from tasks.forgetting.caches import OBJECT
from tasks.forgetting.items import DATABASE, PRODUCT, SOURCE, Findings, Item, find_all
from tasks.forgetting.ledger import Forgotten, Place, add_forgotten
from tasks.forgetting.rows import blot_out
from tasks.forgetting.sightings import SeenVersion, Sightings
from tasks.forgetting.subject import Subject
from tasks.tracking.journal import Journal, whoami
from tasks.versioning.remote import RemoteError

FOLDER = "forgetting"


@dataclass
class Outcome:
    """What was done."""

    gone: list[Item] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Bytes of each."""
    left: list[str] = field(default_factory=list)
    """What could not go just now, and why."""


class Forgetting:
    """What forgetting a file comes to; nothing is touched until `carry_out`."""

    def __init__(
        self,
        workspace: Workspace,
        subject: Subject,
        why: str = "",
        *,
        keep_file: bool = False,
        in_remote: bool = False,
    ) -> None:
        self.workspace, self.subject, self.why = workspace, subject, " ".join(why.split())
        self.keep_file, self.in_remote = keep_file, in_remote
        self.seen = Sightings(workspace, subject)

    @cached_property
    def found(self) -> Findings:
        """All that has to go; what an interrupted command still had to do is among it."""
        found = find_all(self.seen)
        found.add(_written_down(self.workspace))
        return found

    @cached_property
    def away(self) -> Away | str | None:
        """What DVC's remote has of it, or why that is not known."""
        return find_away(self.seen, self.found.quotes)

    @cached_property
    def line(self) -> Forgotten:
        """The line by which no run reads the file: the one that there is, or a new one."""
        places, digests = set(self.subject.places), self.subject.digests
        for line in self.subject.lines:
            if places <= set(line.places) and digests <= set(line.sha256):
                return line
        if not places and self.subject.file:  # nobody has read it yet
            path = self.workspace.address(self.subject.file)
            places = {Place("", self.subject.file.name, path)}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Forgotten(
            when=now, who=whoami(), why=self.why, places=tuple(sorted(places)), sha256=tuple(sorted(digests))
        )

    def carry_out(self) -> Outcome:
        """Exclude the file, mark the versions that saw it, and remove all that was found.

        What somebody uses at this moment is left, and told of: the same command takes it away later.
        """
        kept = {SOURCE} if self.keep_file else set()
        items = [item for item in self.found.items if item.kind not in kept]
        outcome = Outcome()
        if self.line not in self.subject.lines:
            add_forgotten(self.workspace, self.line)
        if self.in_remote:  # first of all: what lies there is known by what lies here
            self._remove_away(outcome)
        note = _write_down(self.workspace, self.line, items)
        mark_versions(self.workspace, self.seen.versions, self.line)
        for item in sorted(items, key=_order):
            outcome.left += _take(self.workspace, item, self.found, outcome)
        _tidy(self.workspace, self.seen, outcome)
        show_marks(self.workspace, self.seen.versions)
        if not outcome.left:
            for each in note.parent.glob("*.json"):
                each.unlink(missing_ok=True)
        return outcome

    def _remove_away(self, outcome: Outcome) -> None:
        try:
            if isinstance(self.away, Away):
                self.away.remove()
            elif self.away:
                outcome.left.append(self.away)
        except RemoteError as error:
            outcome.left.append(f"{error}; run this again")


def _order(item: Item) -> int:
    """What is found by the file's words goes first, what they are known from last."""
    return {DATABASE: 0, PRODUCT: 2, OBJECT: 2, SOURCE: 3}.get(item.kind, 1)


def mark_versions(workspace: Workspace, versions: Sequence[SeenVersion], line: Forgotten) -> None:
    """Say of each version, in MLflow and in its journal, that it saw what was forgotten since."""
    from tasks.tracking.store import open_store
    from tasks.tracking.versions import FORGOTTEN_TAG

    for each in versions:
        version = each.version
        names = ", ".join(map(str, line.places))
        text = f"{line.when}, {line.who}: {names}" + (f": {line.why}" if line.why else "")
        marked = version.forgotten
        journal = Journal(workspace.root, version.name)
        known = [entry.facts for entry in journal.entries() if entry.kind == "forgotten"]
        facts = {"version": version.version, "digest": version.digest, "sha256": list(line.sha256)}
        if not any(facts.items() <= entry.items() for entry in known):
            journal.append("forgotten", **facts, files=names, why=line.why)
        if text not in marked:
            told = f"{marked}; {text}" if marked else text
            client = open_store(workspace.root)
            client.set_model_version_tag(version.name, str(version.version), FORGOTTEN_TAG, told[-5_000:])


def show_marks(workspace: Workspace, versions: Sequence[SeenVersion]) -> None:
    """Bring all that MLflow shows of them in step: what it says of data and reports that are gone, too."""
    from tasks.card import publish

    for each in versions:
        if each.version.home.is_dir():
            publish(workspace.root, each.version.name, each.version.version)


def _take(workspace: Workspace, item: Item, found: Findings, outcome: Outcome) -> Iterator[str]:
    """Let one item go; says what stays, and why."""
    if not os.path.lexists(item.path):
        return
    address, size = workspace.address(item.path), item.size
    with ExitStack() as held:
        if not hold_all(item.locks, held):
            yield f"{address} is in use; run this again when that run has ended"
            return
        try:
            if item.kind == DATABASE:
                blot_out(item.path, found.quotes)
            elif item.kind == OBJECT:
                _take_object(workspace, item.path)
            else:
                remove(workspace, item.path)
            outcome.gone.append(item)
            outcome.sizes.append(0 if item.kind == DATABASE else size)
        except (OSError, sqlite3.OperationalError) as error:
            yield f"{address} could not go ({error}); run this again"


def _take_object(workspace: Workspace, path: Path) -> None:
    from tasks.versioning.gate import alone

    with alone(workspace.root):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # not empty
        path.parent.rmdir()


def _tidy(workspace: Workspace, seen: Sightings, outcome: Outcome) -> None:
    """Away with links to what is gone, and notes of copies that are no more."""
    for link in broken_links(workspace):
        link.unlink(missing_ok=True)
    if any(item.kind == OBJECT for item in outcome.gone):
        from tasks.engine.store import Store
        from tasks.versioning import has

        store = Store(workspace)
        for key in seen.keys:
            copies = store.copies(key)
            if copies and not has(workspace.root, copies.dvc):
                (workspace.private / "copies" / f"{key}.json").unlink(missing_ok=True)


def _write_down(workspace: Workspace, line: Forgotten, items: Iterable[Item]) -> Path:
    """What is to be done, on the disk before any of it is; only where things lie, no word of the text."""
    document = {
        "line": line.model_dump(mode="json"),
        "items": [
            {"kind": item.kind, "path": workspace.address(item.path), "why": item.why,
             "locks": [workspace.address(lock) for lock in item.locks]}
            for item in items
        ],
    }  # fmt: skip
    text = json.dumps(document)
    note = (
        workspace.private
        / FOLDER
        / f"{hashlib.sha256(line.model_dump_json().encode()).hexdigest()[:16]}.json"
    )
    note.parent.mkdir(parents=True, exist_ok=True)
    scratch = note.with_name(f".{note.name}.{os.getpid()}")
    with scratch.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(note)
    return note


def _written_down(workspace: Workspace) -> Iterator[Item]:
    """What earlier commands still had to do when they were killed."""
    for note in sorted((workspace.private / FOLDER).glob("*.json")):
        try:
            rows = json.loads(note.read_text(encoding="utf-8"))["items"]
        except (OSError, ValueError, KeyError):  # it was being written: nothing had been done yet
            continue
        for row in rows:
            path, locks = workspace.path(row["path"]), tuple(map(workspace.path, row["locks"]))
            # Products and rows are found again as they were found before; it may be another product by now.
            if os.path.lexists(path) and row["kind"] not in (DATABASE, PRODUCT, SOURCE):
                yield Item(
                    row["kind"], path, f"{row['why']} (an interrupted command had to remove it)", locks
                )


def interrupted(workspace: Workspace) -> list[str]:
    """The files that commands were to forget which were killed before they had removed everything."""
    found = []
    for note in sorted((workspace.private / FOLDER).glob("*.json")):
        with suppress(OSError, ValueError, KeyError):
            line = Forgotten.model_validate(json.loads(note.read_text(encoding="utf-8"))["line"])
            found.append(line.places[0].path)
    return found


__all__ = ["SOURCE", "Forgetting", "Outcome", "interrupted", "mark_versions"]
