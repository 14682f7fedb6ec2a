"""The page on a corpus: what is in it, what each step took away, and where the limits of filters lie."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tasks.report.drawing.bars import limit_histogram
from tasks.report.sections.data import PAGE, Corpus, described
from tasks.report.templating import environment
from tasks.words import count

Row = Mapping[str, Any]
MOST_LANGUAGES = 12
QUANTILES = ("least", "p5", "p25", "median", "p75", "p95", "most")


@dataclass(frozen=True)
class Limited:
    """A limit of a filter, among what was measured."""

    rule: str
    told: str
    picture: Markup


@dataclass(frozen=True)
class Taken:
    """What one rule took away."""

    stage: str
    rule: str
    documents: int
    words: int
    examples: list[Row]


@dataclass(frozen=True)
class View:
    """All that is on the page."""

    name: str
    title: str
    tiles: list[tuple[str, str, str]]
    """(label, figure, remark)."""
    alarms: list[str]
    alarm_share: float
    corpora: list[Corpus]
    lengths: list[Row]
    languages: list[tuple[str, list[tuple[str, int, str]]]]
    """(source, [(language, documents, share)])."""
    taken: list[Taken]
    limits: list[Limited]
    pairs: list[Row]
    edits: list[Row]
    quarantined: list[Row]
    num_quarantined: int


def write_page(product: Path, corpus: str) -> Path:
    """Draw the page of a product of `describe_corpus` into its `log/`."""
    page = product / PAGE
    page.parent.mkdir(exist_ok=True)
    statistics, examples = (
        json.loads((product / name).read_text(encoding="utf-8"))
        for name in ("statistics.json", "examples.json")
    )
    view = view_of(corpus, statistics, examples)
    page.write_text(environment().get_template("corpus.jinja").render(view=view), encoding="utf-8")
    return page


def written_page(product: Path, corpus: str) -> Path:
    """The page, drawn again where it is lost."""
    return product / PAGE if (product / PAGE).is_file() else write_page(product, corpus)


def view_of(corpus: str, statistics: Row, examples: Row) -> View:
    """From the two files of the product."""
    shown = described("", corpus, {**statistics, "alarms": ()})  # they stand at the top
    documents = sum(row["documents"] for row in statistics["sides"])
    words = sum(row["words"] for row in statistics["sides"])
    lost = sum(row["rejected"] for row in statistics["sources"])
    unread = [row for row in statistics["rejected"] if row["stage"] == "ingest"]
    num_quarantined = sum(row["documents"] for row in unread)
    tiles = [
        ("documents", f"{documents:,}", f"of {documents + lost:,} that were read"),
        ("words", f"{words:,}", f"in {count(len(statistics['sources']), 'source')}"),
        ("left out", f"{lost:,}", f"{lost / (documents + lost):.1%} of the documents"),
        ("could not be read", f"{num_quarantined:,}", "records, with their places below" if unread else ""),
    ]
    return View(
        corpus,
        f"The corpus {corpus}: {documents:,} documents, {words:,} words",
        tiles,
        [row["sentence"] for row in statistics["alarms"]],
        statistics["alarm_share"],
        [shown],
        statistics["lengths"],
        _languages(statistics["languages"]),
        _taken(statistics["rejected"], examples["removed"]),
        [_limited(row) for row in examples["limits"]],
        examples["pairs"],
        examples["edits"],
        examples["quarantined"],
        num_quarantined,
    )


def _languages(rows: Sequence[Row]) -> list[tuple[str, list[tuple[str, int, str]]]]:
    found = []
    for source in dict.fromkeys(row["source"] for row in rows):
        mine = [row for row in rows if row["source"] == source]
        total = sum(row["documents"] for row in mine)
        shown = [(row["language"], row["documents"], f"{row['documents'] / total:.1%}") for row in mine]
        found.append((source, shown[:MOST_LANGUAGES]))
    return found


def _taken(rejected: Sequence[Row], examples: Sequence[Row]) -> list[Taken]:
    """In the order of the steps, of each step the rule first that took most."""
    order = list(dict.fromkeys(("ingest", "clean", "filter", *(row["stage"] for row in rejected), "split")))
    found = []
    for stage, rule in dict.fromkeys((row["stage"], row["rule"]) for row in rejected):
        rows = [row for row in rejected if (row["stage"], row["rule"]) == (stage, rule)]
        shown = [row for row in examples if (row["stage"], row["rule"]) == (stage, rule)]
        documents, words = (sum(row[name] for row in rows) for name in ("documents", "words"))
        found.append(Taken(stage, rule, documents, words, shown))
    return sorted(found, key=lambda each: (order.index(each.stage), -each.documents, each.rule))


def _limited(row: Row) -> Limited:
    side = "below" if row["kind"] == "min" else "above"
    told = f"{row['broken']:,} of {row['documents']:,} documents are {side} {row['bound']:g}"
    drawn = limit_histogram(
        row["counts"], row["low"], row["high"], row["bound"], is_least=row["kind"] == "min", label=told
    )
    return Limited(row["rule"], told, drawn)
