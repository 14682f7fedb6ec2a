"""A corpus in numbers, by SQL over its Parquet files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.corpus.database import quoted
from lmcore.corpus.document import Facts
from lmcore.corpus.ledger import SIDES

if TYPE_CHECKING:
    import duckdb

COUNTS = """
    SELECT source, side, count(*) AS documents, count(DISTINCT family) AS families,
        sum(words)::BIGINT AS words, sum(length(text))::BIGINT AS characters,
        sum(strlen(text))::BIGINT AS bytes
    FROM documents GROUP BY ALL ORDER BY ALL
"""
HISTOGRAM = """
    SELECT source, pow(2, floor(log2(words)))::BIGINT AS from_words, count(*) AS documents
    FROM documents WHERE words > 0 GROUP BY ALL ORDER BY ALL
"""
REJECTS = """
    SELECT source, stage, rule, count(*) AS documents, sum(length(text))::BIGINT AS characters
    FROM rejected GROUP BY ALL ORDER BY ALL
"""
SHARES = """
    SELECT source, coalesce(kept, 0) AS kept, coalesce(rejected, 0) AS rejected,
        coalesce(rejected, 0) / (coalesce(kept, 0) + coalesce(rejected, 0)) AS rejected_share
    FROM (SELECT source, count(*) AS kept FROM documents GROUP BY ALL)
    FULL JOIN (SELECT source, count(*) AS rejected FROM rejected GROUP BY ALL) USING (source)
    ORDER BY source
"""


def describe(corpus: Path, out: Path) -> Facts:
    """Write `statistics.json`: by source and side, rejections by rule, and a histogram of words per document.

    A word is a run of characters between white space; a bar of the histogram holds the documents of
    `from_words` to twice as many words.

    Args:
        corpus: the folder that `split_corpus` filled.
    """
    with connect(corpus) as database:
        tables = {
            "sides": _rows(database, COUNTS),
            "words_per_document": _rows(database, HISTOGRAM),
            "rejected": _rows(database, REJECTS),
            "sources": _rows(database, SHARES),
        }
    text = json.dumps(tables, indent=2, sort_keys=True, ensure_ascii=False)
    (out / "statistics.json").write_text(text + "\n", encoding="utf-8")
    names = ("documents", "characters", "bytes", "words")
    facts: Facts = {name: sum(row[name] for row in tables["sides"]) for name in names}
    rejected = sum(row["documents"] for row in tables["rejected"])
    return facts | {"sources": len(tables["sources"]), "rejected": rejected}


def connect(corpus: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory with the views `documents` (with side and words) and `rejected`."""
    import duckdb

    # Nothing is installed or loaded from the network or the home folder.
    database = duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )
    files = {name: f"read_parquet({quoted(corpus / f'{name}.parquet')})" for name in (*SIDES, "rejected")}
    sides = " UNION ALL BY NAME ".join(f"SELECT '{side}' AS side, * FROM {files[side]}" for side in SIDES)
    words = r"len(regexp_extract_all(text, '\S+'))"
    database.execute(f"CREATE VIEW documents AS SELECT *, {words} AS words FROM ({sides})")
    database.execute(f"CREATE VIEW rejected AS SELECT * FROM {files['rejected']}")
    return database


def _rows(database: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    result = database.execute(query)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
