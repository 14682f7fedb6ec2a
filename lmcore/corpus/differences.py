"""How two corpora differ, document by document: what came, changed, went, or was decided otherwise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from lmcore.corpus.catalogue import REJECTED, rows
from lmcore.corpus.changes import Change, compare_documents

if TYPE_CHECKING:
    import duckdb

Turn = Literal["moved to another side", "rejected now", "kept now", "rejected by another rule"]


class Standing(NamedTuple):
    """A document of a corpus, and what became of it."""

    id: str
    digest: str
    source: str
    file: str
    line: int
    title: str
    side: str
    rule: str
    """`stage rule`, where it was rejected."""

    @property
    def fate(self) -> str:
        """`train`, or `rejected by filter length.min_words`."""
        return f"rejected by {self.rule}" if self.side == REJECTED else self.side


class Turned(NamedTuple):
    """A document that is the same and stands otherwise."""

    turn: Turn
    was: Standing
    now: Standing


@dataclass(frozen=True)
class Differences:
    """From one corpus to another."""

    changes: list[Change]
    """New, changed and gone documents, rejected ones included."""
    turned: list[Turned]
    num_same: int
    """Documents that are the same in text and fate."""


def standings(database: duckdb.DuckDBPyConnection) -> list[Standing]:
    """Every document of a catalogue, in reading order."""
    query = """
        SELECT id, digest, source, file, line, title, side, coalesce(stage || ' ' || rule, '') AS rule
        FROM documents LEFT JOIN (SELECT id, stage, rule FROM rejected) USING (id)
        ORDER BY source, file, line, id
    """
    return [Standing(**row) for row in rows(database, query)]


def compare_corpora(before: Sequence[Standing], now: Sequence[Standing]) -> Differences:
    """Documents are the same if their digests are; of several with one text, those with the same id."""
    old: defaultdict[str, list[Standing]] = defaultdict(list)
    for each in before:
        old[each.digest].append(each)
    pairs = [(was, each) for each in now if (was := _same(old.get(each.digest, []), each.id))]
    turned = [Turned(turn, was, each) for was, each in pairs if (turn := _turn(was, each))]
    return Differences(compare_documents(before, now), turned, len(pairs) - len(turned))


def _same(candidates: Iterable[Standing], id: str) -> Standing | None:
    found = list(candidates)
    return next((each for each in found if each.id == id), found[0] if found else None)


def _turn(was: Standing, now: Standing) -> Turn | None:
    if was.side == now.side:
        return "rejected by another rule" if was.rule != now.rule else None
    if now.side == REJECTED:
        return "rejected now"
    return "kept now" if was.side == REJECTED else "moved to another side"
