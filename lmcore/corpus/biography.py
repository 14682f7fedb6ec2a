"""The whole life of one document: where it came from, what was changed, measured and decided, where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from lmcore.config import SettingsError
from lmcore.corpus.catalogue import rows
from lmcore.corpus.filters import Limit

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]
SHORTEST_DIGEST = 6
SHOWN = 5
"""Documents that an error names."""
NOT_MEASURED = ("id", "source")


class Measured(NamedTuple):
    """What a filter measured, beside a limit on it."""

    signal: str
    value: float | str | None
    limit: Limit | None
    """None where this signal has no limit."""

    @property
    def is_broken(self) -> bool:
        """Whether the value is outside of the limit."""
        if self.limit is None or self.value is None:
            return False
        if self.limit.kind == "only":
            return self.value not in tuple(self.limit.bound)
        value, bound = float(self.value), float(self.limit.bound)
        return value < bound if self.limit.kind == "min" else value > bound


@dataclass(frozen=True)
class Life:
    """All that the catalogue knows of a document."""

    document: Row
    rejected: Row | None
    """Why it does not go on; None for one that does."""
    edits: list[Row]
    measured: list[Measured]
    """A row for each limit, and for each signal without one."""
    decisions: list[Row]
    duplicates: list[Row]
    """Evidence for each pair that it is in."""
    family: list[Row]
    """The other documents that are alike with it, by any chain of pairs."""
    repeats: list[Row]
    """Stretches that were cut out of it."""
    spans: list[Row]
    """Where its tokens lie."""


def find_document(database: duckdb.DuckDBPyConnection, called: str) -> str:
    """The id of the document that is meant.

    Args:
        called: its id or the beginning of it, six or more digits of its digest, its title, or a part of
            its id.

    Raises:
        SettingsError: there is none, or there are several.
    """
    lowered = called.lower()
    is_digest = len(lowered) >= SHORTEST_DIGEST and set(lowered) <= set("0123456789abcdef")
    ways = [
        ("id = ?", called),
        *([("starts_with(digest, ?)", lowered)] if is_digest else []),
        ("starts_with(id, ?)", called),
        ("lower(title) = ?", lowered),
        ("contains(lower(id), ?)", lowered),
    ]
    for condition, value in ways:
        query = f"SELECT id, title, side FROM documents WHERE {condition} ORDER BY id LIMIT {SHOWN + 1}"
        found = rows(database, query, [value])
        if len(found) == 1:
            return str(found[0]["id"])
        if found:
            raise SettingsError(
                f"'{called}' stands for several documents: {_named(found[:SHOWN])}"
                f"{' and others' if len(found) > SHOWN else ''}; write the whole id, or digits of the digest"
            )
    near = rows(
        database,
        "SELECT id, title, side FROM documents ORDER BY jaro_winkler_similarity(id, ?) DESC, id LIMIT 3",
        [called],
    )
    raise SettingsError(f"no document '{called}' in this corpus. Did you mean {_named(near)}?")


def _named(found: Sequence[Row]) -> str:
    return ", ".join(f"{row['id']} ({', '.join(filter(None, (row['title'], row['side'])))})" for row in found)


def life_of(database: duckdb.DuckDBPyConnection, id: str, limits: Sequence[Limit]) -> Life:
    """Gather everything on one document.

    Args:
        id: as `find_document` gives it.
        limits: of the filters that decided.
    """
    (document,) = rows(database, "SELECT * FROM documents WHERE id = ?", [id])
    rejected = rows(database, "SELECT stage, rule, value, threshold, reason FROM rejected WHERE id = ?", [id])
    family = """
        SELECT id, title, side FROM documents JOIN families USING (id)
        WHERE families.family = (SELECT any_value(family) FROM families WHERE id = ?) AND id <> ? ORDER BY id
    """
    evidence = (
        "SELECT * FROM duplicates WHERE removed = ? OR keeper = ? ORDER BY containment DESC, removed, keeper"
    )
    return Life(
        document,
        rejected[0] if rejected else None,
        rows(database, "SELECT * EXCLUDE (id) FROM edits WHERE id = ? ORDER BY ALL", [id]),
        _measured(rows(database, "SELECT * FROM signals WHERE id = ?", [id]), limits),
        rows(database, "SELECT * EXCLUDE (id) FROM decisions WHERE id = ? ORDER BY is_first DESC", [id]),
        rows(database, evidence, [id, id]),
        rows(database, family, [id, id]),
        rows(database, 'SELECT * FROM repeats WHERE id = ? ORDER BY "begin"', [id]),
        rows(database, "SELECT * FROM shards WHERE id = ? ORDER BY shards, side", [id]),
    )


def _measured(signals: Sequence[Row], limits: Sequence[Limit]) -> list[Measured]:
    if not signals:
        return []
    found = []
    for column, value in signals[0].items():
        if column not in NOT_MEASURED:
            on_it = [Measured(column, value, limit) for limit in limits if limit.column == column]
            found += on_it or [Measured(column, value, None)]
    return found


def text_of(database: duckdb.DuckDBPyConnection, id: str) -> str:
    """A document's text, as it is on its side, or as it was when it was rejected."""
    found = database.execute("SELECT text FROM texts WHERE id = ?", [id]).fetchone()
    if found is None:
        raise SettingsError(f"no document '{id}' in this corpus")
    return str(found[0])
