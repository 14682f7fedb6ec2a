"""A corpus in numbers, by SQL over its catalogue."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.corpus.catalogue import Products, open_catalogue, rows
from lmcore.corpus.document import Facts
from lmcore.corpus.examples import examples
from lmcore.corpus.filters import Limit

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]

COUNTS = """
    SELECT source, side, count(*) AS documents, count(DISTINCT family) AS families,
        sum(words)::BIGINT AS words, sum(characters)::BIGINT AS characters, sum(bytes)::BIGINT AS bytes
    FROM documents WHERE side <> 'rejected' GROUP BY ALL ORDER BY ALL
"""
HISTOGRAM = """
    SELECT source, pow(2, floor(log2(words)))::BIGINT AS from_words, count(*) AS documents
    FROM documents WHERE words > 0 AND side <> 'rejected' GROUP BY ALL ORDER BY ALL
"""
REJECTS = """
    SELECT source, stage, rule, count(*) AS documents, sum(documents.characters)::BIGINT AS characters,
        sum(words)::BIGINT AS words
    FROM rejected JOIN documents USING (id, source) WHERE side = 'rejected' GROUP BY ALL ORDER BY ALL
"""
SHARES = """
    SELECT source, (count(*) FILTER (side <> 'rejected'))::BIGINT AS kept,
        (count(*) FILTER (side = 'rejected'))::BIGINT AS rejected,
        count(*) FILTER (side = 'rejected') / count(*) AS rejected_share
    FROM documents GROUP BY ALL ORDER BY ALL
"""
QUANTILES = {"least": 0.0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "most": 1.0}
LENGTHS = f"""
    SELECT source, {", ".join(f"quantile_disc(words, {at}) AS {name}" for name, at in QUANTILES.items())}
    FROM documents WHERE side <> 'rejected' GROUP BY ALL ORDER BY ALL
"""
LANGUAGE = "language_code"
"""The signal of the filter `language`."""
LANGUAGES = f"""
    SELECT source, {LANGUAGE} AS language, count(*) AS documents FROM signals GROUP BY ALL
    ORDER BY source, documents DESC, language
"""


def statistics(database: duckdb.DuckDBPyConnection) -> dict[str, list[Row]]:
    """Tables by name: documents by source and side, rejections by rule, lengths, shares, and languages.

    A word is a run of characters between white space; a bar of the histogram holds the documents of
    `from_words` to twice as many words. Languages are there where the filter `language` measured them.
    """
    tables = {
        "sides": rows(database, COUNTS),
        "words_per_document": rows(database, HISTOGRAM),
        "lengths": rows(database, LENGTHS),
        "rejected": rows(database, REJECTS),
        "sources": rows(database, SHARES),
    }
    signals = {row["column_name"] for row in rows(database, "DESCRIBE signals")}
    return tables | {"languages": rows(database, LANGUAGES) if LANGUAGE in signals else []}


def alarms(tables: dict[str, list[Row]], alarm_share: float) -> list[Row]:
    """The sources that lost more than this share of their documents, and the rule that took most of them."""
    found = []
    for source in tables["sources"]:
        if source["rejected_share"] > alarm_share:
            rules = [row for row in tables["rejected"] if row["source"] == source["source"]]
            most = max(rules, key=lambda row: (row["documents"], row["rule"]))
            found.append(
                source | {"stage": most["stage"], "rule": most["rule"], "by_rule": most["documents"]}
            )
    return found


def in_words(alarm: Row) -> str:
    """`letters lost 12 of 20 documents (60%), most by filter length.min_words (8)`."""
    lost, all_of_it = alarm["rejected"], alarm["rejected"] + alarm["kept"]
    return (
        f"{alarm['source']} lost {lost:,} of {all_of_it:,} documents ({alarm['rejected_share']:.0%}), most "
        f"by {alarm['stage']} {alarm['rule']} ({alarm['by_rule']:,})"
    )


def describe(products: Products, out: Path, limits: Sequence[Limit], alarm_share: float) -> Facts:
    """Write `statistics.json` (see `statistics`, and the alarms) and `examples.json` (see `examples`).

    Args:
        products: a corpus with what it was made from.
        limits: of the filters that decided.
        alarm_share: a source that loses more than this share of its documents raises an alarm.
    """
    with open_catalogue(products) as database:
        tables = statistics(database)
        shown = examples(database, products.documents, limits)
    alarming = alarms(tables, alarm_share)
    told = [row | {"sentence": in_words(row)} for row in alarming]
    _write(out / "statistics.json", {**tables, "alarms": told, "alarm_share": alarm_share})
    _write(out / "examples.json", shown)
    names = ("documents", "characters", "bytes", "words")
    facts: Facts = {name: sum(row[name] for row in tables["sides"]) for name in names}
    rejected = sum(row["documents"] for row in tables["rejected"])
    return facts | {"sources": len(tables["sources"]), "rejected": rejected, "alarms": len(alarming)}


def _write(path: Path, document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
