"""What each step took away, with examples, and where the limits of filters lie among what was measured.

Examples are the same each time. Of records that could not be read only the place is told, since nothing was
masked in them; what looks like personal data is masked in all other examples, whatever the cleaners were.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.corpus.catalogue import rows, table_of
from lmcore.corpus.cleaners.personal_data import personal_data
from lmcore.corpus.filters import Limit

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]
BINS = 32
ROOM = 0.1
"""Share of a histogram's width that lies beyond the limit, at least."""
EACH = 2
"""Examples of a rule."""
MOST_RULES = 16
PAIRS = 6
QUARANTINED = 20
WORDS = 40
"""Of a document, in an example: enough to know it again, and to be found when its file is to be forgotten."""
UNREAD = ("ingest",)
"""Stages before any cleaner."""


def examples(
    database: duckdb.DuckDBPyConnection, documents: Path | None, limits: Sequence[Limit]
) -> dict[str, list[Row]]:
    """Tables by name: `limits`, `removed`, `pairs`, `edits`, `quarantined`.

    Args:
        documents: the folder that `clean_documents` filled, whose texts are whole; None for the corpus's own.
    """
    return {
        "limits": [found for limit in limits if (found := _histogram(database, limit))],
        "removed": _removed(database),
        "pairs": _pairs(database, documents),
        "edits": [row | {"example": masked(row["example"])} for row in rows(database, EDITS)],
        "quarantined": [
            row | {"reason": masked(row["reason"])} for row in rows(database, UNREADABLE, [list(UNREAD)])
        ],
    }


EDITS = """
    SELECT cleaner, rule, count(*) AS documents, sum(occurrences)::BIGINT AS occurrences,
        sum(characters)::BIGINT AS characters, min(example) AS example
    FROM edits GROUP BY ALL ORDER BY ALL
"""
UNREADABLE = f"""
    SELECT source, file, line, rule, reason FROM rejected
    WHERE list_contains(?, stage) ORDER BY source, file, line LIMIT {QUARANTINED}
"""
REMOVED = f"""
    WITH chosen AS (
        SELECT id, source, title, stage, rule, reason, sha256(digest || id) AS place FROM rejected
        WHERE NOT list_contains(?, stage)
        QUALIFY row_number() OVER (PARTITION BY stage, rule ORDER BY place) <= {EACH}
            AND dense_rank() OVER (ORDER BY stage, rule) <= {MOST_RULES}
    )
    SELECT * EXCLUDE (place, side, row) FROM chosen JOIN texts USING (id) ORDER BY stage, rule, place
"""
"""No text goes through the choice."""
CHOSEN_PAIRS = f"""
    SELECT removed, keeper, jaccard, containment, how FROM duplicates WHERE how <> 'exact'
    QUALIFY row_number() OVER (PARTITION BY how ORDER BY sha256(removed || keeper)) <= {PAIRS // 2}
    ORDER BY how, sha256(removed || keeper)
"""


def _histogram(database: duckdb.DuckDBPyConnection, limit: Limit) -> Row | None:
    """How many documents have a signal in each of some bins; the last ones hold all that lies beyond."""
    known = {row["column_name"] for row in rows(database, "DESCRIBE signals")}
    if limit.kind == "only" or limit.column not in known:
        return None
    bound, column = float(limit.bound), f'"{limit.column}"'
    beyond = f"{column} {'<' if limit.kind == 'min' else '>'} {bound!r}::DOUBLE"
    ends = f"""
        SELECT quantile_disc({column}, 0.01) AS low, quantile_disc({column}, 0.99) AS high, count(*) AS total,
            count(*) FILTER ({beyond}) AS broken FROM signals WHERE {column} IS NOT NULL
    """
    (found,) = rows(database, ends)
    if not found["total"] or not found["broken"]:
        return None
    low, high = min(found["low"], bound), max(found["high"], bound)
    room = (high - low) * ROOM or 1.0  # beyond the limit, for those that break it
    low, high = (min(low, bound - room), high) if limit.kind == "min" else (low, max(high, bound + room))
    # The limit is an edge between two bins, and what is just admitted stands on the right side of it.
    width = (high - low) / BINS
    below = min(max(ceil((bound - low) / width), 1), BINS - 1)
    low, high = bound - below * width, bound + (BINS - below) * width
    distance = f"({column} - {bound!r}::DOUBLE) / {width!r}::DOUBLE"
    number = f"floor({distance})" if limit.kind == "min" else f"ceil({distance}) - 1"
    place = f"greatest(0, least({BINS - 1}, {number} + {below}))::INT"
    counts = dict(
        database.execute(
            f"SELECT {place}, count(*) FROM signals WHERE {column} IS NOT NULL GROUP BY ALL"
        ).fetchall()
    )
    return {
        "rule": limit.rule, "signal": limit.column, "kind": limit.kind, "bound": bound,
        "low": low, "high": high,
        "counts": [counts.get(number, 0) for number in range(BINS)], "below": below,
        "documents": found["total"], "broken": found["broken"],
    }  # fmt: skip


def _removed(database: duckdb.DuckDBPyConnection) -> list[Row]:
    found = rows(database, REMOVED, [list(UNREAD)])
    return [row | {"text": excerpt(row["text"])} for row in found]


def _pairs(database: duckdb.DuckDBPyConnection, documents: Path | None) -> list[Row]:
    chosen = rows(database, CHOSEN_PAIRS)
    ids = sorted({row[name] for row in chosen for name in ("removed", "keeper")})
    source = table_of(documents / "documents.parquet") if documents else "texts"
    query = f"SELECT id, text FROM {source} WHERE list_contains(?, id)"
    texts = dict(database.execute(query, [ids]).fetchall())
    found = []
    for row in chosen:
        one, other = texts.get(row["removed"], "").split(), texts.get(row["keeper"], "").split()
        alike = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
        begin = max(sum(1 for _ in alike) - WORDS // 2, 0)
        shown = {"removed_text": one, "keeper_text": other}
        texts_here = {name: excerpt(" ".join(words[begin:])) for name, words in shown.items()}
        found.append(row | texts_here | {"from_word": begin})
    return found


def excerpt(text: str) -> str:
    """The first words, what looks like personal data masked."""
    words = text.split()
    return masked(" ".join(words[:WORDS]) + (" …" if len(words) > WORDS else ""))


def masked(text: str) -> str:
    """The text with stand-ins for what looks like personal data."""
    return personal_data(text, kinds=("email", "ip_address", "card_number", "iban", "phone")).text
