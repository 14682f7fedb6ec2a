"""The corpus in numbers: documents by source and side, rejections by rule, lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tasks.report.drawing.bars import histogram, stacked_bar
from tasks.report.facts import RunFacts, StepFacts
from tasks.words import size

PAGE = Path("log") / "corpus.html"
"""The page on a corpus, in the product that describes it."""
SIDES = {"train": "one", "validation": "three", "test": "two"}


@dataclass(frozen=True)
class Source:
    """One source of a corpus."""

    name: str
    cells: list[str]
    """Documents on each side."""
    words: int
    size: str
    rejected: str
    bar: Markup


@dataclass(frozen=True)
class Corpus:
    """One corpus."""

    name: str
    sides: list[tuple[str, str]]
    """(side, tone)."""
    sources: list[Source]
    rejected: list[tuple[str, str, int, str]]
    """(source, rule, documents, characters)."""
    place: str
    page: str
    """Where the page on this corpus lies, from the page of a run; empty on that page itself."""
    alarms: list[str]
    histograms: list[tuple[str, Markup]]


def data(run: RunFacts) -> list[Corpus]:
    """One section part for each `statistics.json`."""
    return [_corpus(run, step) for step in run.holding("statistics.json")]


def _corpus(run: RunFacts, step: StepFacts) -> Corpus:
    assert step.folder
    corpus = next((name for parameter, name in step.inputs() if parameter == "corpus"), step.name)
    page = f"../{step.folder.name}/{PAGE.as_posix()}" if (step.folder / PAGE).is_file() else ""
    return described(run.short(step.name), corpus, step.document("statistics.json"), page)


def described(name: str, corpus: str, statistics: Mapping[str, Any], page: str = "") -> Corpus:
    """A corpus by its statistics, as `describe_corpus` wrote them."""
    sides, shares = statistics["sides"], {row["source"]: row for row in statistics["sources"]}
    names = sorted({row["source"] for row in sides} | shares.keys())
    whole = max((sum(row["words"] for row in sides if row["source"] == name) for name in names), default=0)
    rejected = sorted(statistics["rejected"], key=lambda row: (-row["documents"], row["source"], row["rule"]))
    return Corpus(
        name,
        list(SIDES.items()),
        [
            _source(name, [row for row in sides if row["source"] == name], shares.get(name, {}), whole)
            for name in names
        ],
        [
            (row["source"], row["rule"].replace("_", " "), row["documents"], f"{row['characters']:,}")
            for row in rejected
        ],
        f"data/corpora/{corpus}/rejected.parquet",
        page,
        [row["sentence"] for row in statistics.get("alarms", ())],
        _histograms(statistics["words_per_document"]),
    )


def _source(name: str, rows: Sequence[Mapping[str, Any]], share: Mapping[str, Any], whole: int) -> Source:
    by_side = {row["side"]: row for row in rows}
    words = {side: by_side[side]["words"] if side in by_side else 0 for side in SIDES}
    rejected = share.get("rejected", 0)
    return Source(
        name,
        [f"{by_side[side]['documents']:,}" if side in by_side else "0" for side in SIDES],
        sum(words.values()),
        size(sum(row["bytes"] for row in rows)),
        f"{rejected:,} ({share.get('rejected_share', 0):.1%})" if rejected else "0",
        stacked_bar([(f"{side}, words", words[side], tone) for side, tone in SIDES.items()], whole),
    )


def _histograms(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, Markup]]:
    """One a source, over the same bins, so that they can be told apart by eye."""
    if not rows:
        return []
    first, last = min(row["from_words"] for row in rows), max(row["from_words"] for row in rows)
    bins = [first]
    while bins[-1] < last:
        bins.append(bins[-1] * 2)
    drawn = []
    for source in sorted({row["source"] for row in rows}):
        counts = {row["from_words"]: row["documents"] for row in rows if row["source"] == source}
        bars = [(_spelled(start), counts.get(start, 0)) for start in bins]
        label = f"Documents of {source} by number of words"
        drawn.append((source, histogram(bars, label, "one", max(counts.values()))))
    return drawn


def _spelled(words: int) -> str:
    """`512`, `4k`: the lower edge of a bin."""
    return f"{words}" if words < 1024 else f"{words // 1024}k"
