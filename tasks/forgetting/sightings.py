"""Who saw a file: products in their places and those that once were, models, versions, down to documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lmcore.lineage import Manifest, digest_of
from tasks.engine.reach import Reach, inputs_of
from tasks.engine.workspace import Workspace
from tasks.forgetting.copies import SIDES, Files, copies_of, records_of
from tasks.forgetting.ledger import Forgotten
from tasks.forgetting.subject import Subject, sources_in, sources_in_record
from tasks.lineage.graph import RECORD, inputs_in

if TYPE_CHECKING:
    from tasks.tracking.versions import Registered

IN_PLACE, REPLACED, GONE = "in its place", "replaced since", "gone"
CONVERSATION = "conversation"


class SeenText(NamedTuple):
    """A document of the file, or a conversation that comes from it, and what became of it."""

    digest: str
    side: str
    """train, validation, test, or `rejected`."""
    line: int
    """Where it stands in the file; of a conversation 0."""
    title: str
    why: str = ""
    """Of a rejected one."""
    kind: str = "document"
    """Or `conversation`."""


@dataclass(frozen=True)
class SeenProduct:
    """A product that was made from the file, directly or not."""

    manifest: Manifest
    address: str
    """Where it lies, or lay."""
    state: str
    is_direct: bool
    """It read the file itself."""
    documents: tuple[SeenText, ...] = ()


@dataclass(frozen=True)
class SeenVersion:
    """A registered version that comes from the file."""

    version: Registered
    documents: tuple[SeenText, ...]

    @property
    def called(self) -> str:
        """`letters v2 (champion)`."""
        aliases = f" ({', '.join(self.version.aliases)})" if self.version.aliases else ""
        return f"{self.version.name} v{self.version.version}{aliases}"


class Sightings:
    """All that saw one file."""

    def __init__(self, workspace: Workspace, subject: Subject) -> None:
        self.workspace, self.subject = workspace, subject
        self.reach = Reach(workspace, since=0.0)

    @cached_property
    def keys(self) -> frozenset[str]:
        """Of all products that come from the file."""
        known = self.reach.remembered
        found = {key for key, each in known.items() if any(map(self.subject.is_in, sources_in(each)))}
        readers: dict[str, list[str]] = {}
        for key, each in known.items():
            for read in inputs_of(each):
                readers.setdefault(read, []).append(key)
        waiting = list(found)
        while waiting:
            fresh = set(readers.get(waiting.pop(), ())) - found
            found |= fresh
            waiting += fresh
        return frozenset(found)

    @cached_property
    def products(self) -> list[SeenProduct]:
        """Each of them, those that read the file first."""
        known, places = self.reach.remembered, {each.key: at for at, each in self.reach.products.items()}
        noted = dict(_noted(known.values()))
        found = []
        for key in self.keys:
            each, place = known[key], places.get(key)
            address = self.workspace.address(place) if place else noted.get(key) or f"{each.step}-{key[:12]}"
            state = IN_PLACE if place else REPLACED if self.workspace.path(address).is_dir() else GONE
            is_direct = any(map(self.subject.is_in, sources_in(each)))
            texts = tuple(self._texts(place)) if place else ()
            found.append(SeenProduct(each, address, state, is_direct, texts))
        return sorted(
            found, key=lambda each: (not each.is_direct, each.address, each.state, each.manifest.key)
        )

    @cached_property
    def versions(self) -> list[SeenVersion]:
        """Every registered version that saw it, by its products' manifests or by the record beside it."""
        from tasks.tracking.versions import versions

        return [
            SeenVersion(version, tuple(self._seen_by(version)))
            for version in versions(self.workspace.root)
            if version.key in self.keys
            or any(map(self.subject.is_in, sources_in_record(version.home / RECORD)))
        ]

    @cached_property
    def readings(self) -> list[Files]:
        """Every copy that is left of the products that read the file themselves, whatever it said then."""
        direct = {each.manifest.key for each in self.products if each.is_direct}
        return list(copies_of(self.workspace, direct, self.reach.products))

    @cached_property
    def _asked(self) -> frozenset[str]:
        """Digests of what is asked in the file's own conversations."""
        return frozenset(
            prompt_digest(record)
            for files in self.readings
            for side in SIDES
            for record in records_of(files, side, self.subject)
            if record["document"] == record["id"]
        )

    def _seen_by(self, version: Registered) -> Iterator[SeenText]:
        """Its documents among those that a version's shards held, and its own conversations."""
        from lmcore.batching.seen import read_seen
        from lmcore.conversations.seen import read_seen_conversations

        with suppress(ValueError):  # registered before these were kept
            for row in read_seen(version.home):
                if self.subject.is_named(row.source, row.file):
                    yield SeenText(row.digest, row.side, row.line, row.title)
        with suppress(ValueError):  # it was not taught to answer
            for side, digests in read_seen_conversations(version.home).items():
                for digest in sorted(digests.keys() & self._asked):
                    yield SeenText(digest, side, 0, "", kind=CONVERSATION)

    def _texts(self, folder: Path) -> Iterator[SeenText]:
        """What became of it: conversations, and documents on their sides or rejected with the reason."""
        if folder.parent.name == "conversations":
            files = {path.name: path for path in folder.iterdir()}
            for side in SIDES:
                for record in records_of(files, side, self.subject):
                    yield SeenText(prompt_digest(record), side, 0, "", kind=CONVERSATION)
        if folder.parent.name != "corpora":
            return
        for side in SIDES:
            for row in self._rows(folder / f"{side}.parquet", ()):
                yield SeenText(row["digest"], side, row["line"], row["title"])
        for row in self._rows(folder / "rejected.parquet", ("stage", "reason")):
            why = f"{row['stage']}: {row['reason']}"
            yield SeenText(row["digest"], "rejected", row["line"], row["title"], why)

    def _rows(self, table: Path, more: Iterable[str]) -> Iterator[Mapping[str, Any]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = ["source", "file", "digest", "line", "title", *more]
        try:
            rows = pq.read_table(table, columns=columns).to_pylist()
        except (OSError, pa.ArrowException):  # damaged: others say so
            return
        yield from (row for row in rows if self.subject.is_named(row["source"], row["file"]))

    def as_json(self) -> dict[str, Any]:
        """Everything, in plain types."""
        subject = self.subject
        return {
            "file": subject.given,
            "sha256": subject.digest,
            "places": [
                {**place._asdict(), "sha256": sorted(digests), "found": subject.how(place)}
                for place, digests in sorted(subject.seen.items())
            ],
            "forgotten": [_line(line) for line in subject.lines],
            "versions": [
                {
                    "model": each.version.name,
                    "version": each.version.version,
                    "aliases": list(each.version.aliases),
                    "digest": each.version.digest,
                    "forgotten": each.version.forgotten or None,
                    "documents": [text._asdict() for text in each.documents],
                }
                for each in self.versions
            ],
            "products": [
                {
                    "step": each.manifest.step,
                    "name": each.manifest.name,
                    "address": each.address,
                    "digest": each.manifest.digest,
                    "key": each.manifest.key,
                    "state": each.state,
                    "read_the_file": each.is_direct,
                    "documents": [text._asdict() for text in each.documents],
                }
                for each in self.products
            ],
        }


def prompt_digest(record: Mapping[str, Any]) -> str:
    """By what is asked, as a registered version remembers its conversations."""
    from lmcore.conversations.records import Record

    return digest_of(Record.model_validate(record).prompt)


def _noted(manifests: Iterable[Manifest]) -> Iterator[tuple[str, str]]:
    """(key, address) of every product that another one says it was made from."""
    for manifest in manifests:
        yield from ((each.key, each.address) for _, each in inputs_in(manifest) if each.key)


def _line(line: Forgotten) -> dict[str, Any]:
    return {"when": line.when, "who": line.who, "why": line.why}
