"""On which documents and sources the challenger does better, and on which worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tasks.report.drawing.intervals import axis_cell, interval_cell, scale_for
from tasks.report.judging import bounds, fixed, judge, signed

SHOWN = 5
"""Documents at each end."""
MOST_SOURCES = 12


@dataclass(frozen=True)
class Line:
    """A document or a source."""

    name: str
    place: str
    """Where a document lies; of a source, how many documents it has."""
    champion: str
    challenger: str
    difference: str
    bounds: str
    plot: Markup
    word: str


@dataclass(frozen=True)
class Documents:
    """All documents of a verdict."""

    better: int
    worse: int
    equal: int
    best: list[Line]
    worst: list[Line]
    axis: Markup
    sources: list[Line]
    source_axis: Markup | None
    other_sources: int


def documents_of(product: Path, told: Mapping[str, Any], registration: Path) -> Documents | None:
    """What `documents.parquet` of a verdict says; None where nothing was compared.

    Raises:
        ValueError: it does not read.
    """
    from lmcore.evaluate.paired_scores import read_scores

    kind = told["kind"]
    if "champion" not in told["models"]:
        return None
    scores = read_scores(product, kind, has_champion=True)
    assert scores.champion is not None
    units = [1.0 if kind == "marks" else 0.6931471805599453] * len(scores.digests)
    rows = [
        (digest, theirs / weight / unit, ours / weight / unit)
        for digest, theirs, ours, weight, unit in zip(
            scores.digests, scores.champion, scores.challenger, scores.weights, units, strict=True
        )
        if weight
    ]
    sign = 1 if kind == "nats" else -1
    rows.sort(key=lambda row: (sign * (row[2] - row[1]), row[0]))
    gains = [sign * (ours - theirs) for _, theirs, ours in rows]
    best = [row for row, gain in zip(rows, gains, strict=True) if gain < 0][:SHOWN]
    worst = [row for row, gain in zip(rows, gains, strict=True) if gain > 0][: -SHOWN - 1 : -1]
    shown = [{"value": ours - theirs} for _, theirs, ours in (*best, *worst)] or [{"value": 0.0}]
    scale, places = scale_for(shown, zero=True), _places(registration)
    sources, axis, others = _sources(told["sources"], kind)

    def line(row: tuple[str, float, float]) -> Line:
        digest, theirs, ours = row
        name, place = places.get(digest, ("", f"document {digest[:12]}"))
        word = "better" if sign * (ours - theirs) < 0 else "worse"
        words = f"{signed(ours - theirs, 4)}: {word}"
        plot = interval_cell({"value": ours - theirs}, scale, words, word, at=0.0)
        return Line(name, place, fixed(theirs), fixed(ours), signed(ours - theirs), "", plot, word)

    return Documents(
        sum(gain < 0 for gain in gains),
        sum(gain > 0 for gain in gains),
        sum(gain == 0 for gain in gains),
        [line(row) for row in best],
        [line(row) for row in worst],
        axis_cell(scale, signed=True),
        sources,
        axis,
        others,
    )


def _places(registration: Path) -> dict[str, tuple[str, str]]:
    """Digest -> (title, source, file and line) of every document that the challenger's shards held."""
    from lmcore.batching.seen import read_seen

    try:
        seen = read_seen(registration)
    except (OSError, ValueError):  # a page without names is better than none
        return {}
    return {
        each.digest: (
            each.title or "",
            f"{each.source}/{each.file}" + (f", line {each.line}" if each.line else ""),
        )
        for each in seen
    }


def _sources(sources: Mapping[str, Any], kind: str) -> tuple[list[Line], Markup | None, int]:
    """A line each, of those with most text; nothing to tell where there is one source alone."""
    known = {name: entry for name, entry in sources.items() if entry.get("difference")}
    if len(known) < 2:
        return [], None, 0
    names = sorted(known, key=lambda name: (-known[name]["weight"], name))
    shown = names[:MOST_SOURCES]
    scale = scale_for([known[name]["difference"] for name in shown], zero=True)
    lines = [_source(name, known[name], kind, scale) for name in shown]
    return lines, axis_cell(scale, signed=True), len(names) - len(shown)


def _source(name: str, entry: Mapping[str, Any], kind: str, scale: Any) -> Line:
    difference = entry["difference"]
    word = judge(difference, lower_is_better=kind == "nats")
    words = f"{signed(difference['value'], 4)} ({bounds(difference, 4, with_sign=True)}): {word}"
    plot = interval_cell(difference, scale, words, word.replace(" ", "-"), at=0.0)
    documents = f"{entry['documents']:,} document{'' if entry['documents'] == 1 else 's'}"
    return Line(
        name, documents, fixed(entry["champion"]), fixed(entry["challenger"]), signed(difference["value"]),
        bounds(difference, with_sign=True), plot, word,
    )  # fmt: skip


def samples_of(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What both wrote: a prompt, how, and (model, text) of each."""
    found = []
    for row in rows:
        how = (
            "the likeliest words"
            if not row["temperature"]
            else f"by chance, temperature {row['temperature']:g}"
        )
        texts = [(each["model"], each["text"]) for each in row["continuations"]]
        found.append({"prompt": row["prompt"], "how": how, "texts": texts})
    return found
