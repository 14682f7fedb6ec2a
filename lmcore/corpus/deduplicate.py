"""Find documents that say what another one says: exact copies, near copies, and parts of longer ones.

Pairs are proposed by MinHash and judged by their exact shingle sets; every removal leaves its evidence. Of
two that are alike the longer one stays, then the one with the smaller digest: no order of input decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmcore.corpus.chunks import Chunk, chunks_of
from lmcore.corpus.document import (
    Decision,
    Document,
    Duplicate,
    Facts,
    Progress,
    Writer,
    read,
    reading_order,
    write,
)
from lmcore.corpus.fingerprints import Fingerprints, ShingleSets, count_in_parts
from lmcore.corpus.minhash import Pairs, distinct_pairs, is_plausible, pairs_in_band
from lmcore.corpus.pieces import kept_or_passing
from lmcore.corpus.settings import DeduplicateConfig
from lmcore.corpus.similarity import Similar, choose_removed, families, judge, least_jaccard
from lmcore.corpus.words import distinct, is_in

RULES = {"exact": "exact_duplicate", "near": "near_duplicate", "contained": "contained"}
WITHOUT_TEXT = ("id", "source", "file", "line", "digest")
COMPACT_AT = 4_000_000
"""So many pairs are put in order, each once, before more are gathered."""


@dataclass(frozen=True, slots=True)
class Member:
    """The family of a document."""

    id: str
    family: str
    """The smallest digest among the documents that are alike."""


@dataclass(frozen=True)
class Ranked:
    """The distinct texts in the order of who survives."""

    documents: Sequence[Document]
    """Without their texts."""
    rows: NDArray[np.int64]
    """Where each stands in the file, (N,)."""


def deduplicate(
    documents: Path,
    filtered: Path,
    out: Path,
    settings: DeduplicateConfig,
    pieces: Path | None = None,
    cores: int = 1,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Facts:
    """Write `decisions.parquet`, `duplicates.parquet` and `families.parquet` into `out`.

    `duplicates.parquet` holds one row of evidence for each document that goes, and one for each pair that is
    alike and stays, as family; `families.parquet` one row for each document that the filters kept. Running it
    again on what stays removes nothing more.

    Args:
        documents: the folder with `documents.parquet`.
        filtered: the folder with the `decisions.parquet` of the filters; their documents are passed over.
        pieces: a folder in which signatures are kept for the next time.
        progress: called with thousandths that are done, and a thousand.
        say: told what was taken over from earlier runs.
    """
    file = documents / "documents.parquet"
    gone = {decision.id for decision in read(filtered / "decisions.parquet", Decision)}
    chunks = chunks_of(file)
    with kept_or_passing(pieces) as kept:
        prints = Fingerprints.make(chunks, settings, kept, cores, part_of(progress, 0.0, 0.5))
        kept.tell_reused(say, "fingerprinted")
        given = [
            (row, each) for row, each in enumerate(read(file, Document, WITHOUT_TEXT)) if each.id not in gone
        ]
        first = _first_of_each_text(document for _, document in given)
        ranked = _rank(given, first, prints)
        similar, num_compared = _compare(ranked, prints, chunks, settings, cores, part_of(progress, 0.5, 1.0))
    digests = [document.digest for document in ranked.documents]
    family = dict(zip(digests, families(digests, similar), strict=True))
    found = _evidence(ranked.documents, similar, settings)
    found += _evidence_of_copies((document for _, document in given), first, found)
    write(out / "duplicates.parquet", Duplicate, sorted(found, key=lambda row: (row.removed, row.keeper)))
    removed = {row.removed: row for row in found if row.how in RULES}
    _write_decisions(out, (document for _, document in given), removed, family, settings)
    sizes, hows = Counter(family.values()), Counter(row.how for row in removed.values())
    return {
        "documents": len(given) - len(removed),
        "characters": sum(int(prints.lengths[row]) for row, each in given if each.id not in removed),
        "rejected": len(removed),
        **{f"{RULES[how]}s" if how != "contained" else how: hows[how] for how in RULES},
        "compared_pairs": num_compared,
        "family_pairs": len(found) - len(removed),
        "families": len(sizes),
        "largest_family": max(sizes.values(), default=0),
    }


def part_of(progress: Progress | None, begin: float, end: float) -> Progress | None:
    """Tells of a part of the work as of a share of the whole."""
    if progress is None:
        return None
    return lambda done, total: progress(round(1000 * (begin + (end - begin) * done / total)), 1000)


def _first_of_each_text(documents: Iterable[Document]) -> dict[str, Document]:
    """For each digest, the document that stands first in reading order."""
    first: dict[str, Document] = {}
    for document in documents:
        other = first.setdefault(document.digest, document)
        if reading_order(document) < reading_order(other):
            first[document.digest] = document
    return first


def _rank(
    given: Sequence[tuple[int, Document]], first: Mapping[str, Document], prints: Fingerprints
) -> Ranked:
    ranked = sorted(
        ((row, document) for row, document in given if first[document.digest] is document),
        key=lambda each: (-prints.lengths[each[0]], each[1].digest),
    )
    rows = np.array([row for row, _ in ranked], np.int64)
    return Ranked([document for _, document in ranked], rows)


def _compare(
    ranked: Ranked,
    prints: Fingerprints,
    chunks: Sequence[Chunk],
    settings: DeduplicateConfig,
    cores: int,
    progress: Progress | None,
) -> tuple[list[Similar], int]:
    """All pairs of places in `ranked` that were found alike, and how many were compared.

    In a crowd not all pairs are proposed. When documents have left it, others are, so proposing goes on until
    those that stay propose nothing new: they would propose the same the next time.
    """
    similar: list[Similar] = []
    duplicates: list[Similar] = []
    compared = np.zeros(0, np.int64)
    begin = 0.0
    while True:
        # Each round has less to do than the one before: it counts as half of what was left.
        middle, end = begin + (1 - begin) / 6, begin + (1 - begin) / 2
        removed = choose_removed(duplicates, settings)
        stays = np.array([n for n in range(len(ranked.rows)) if n not in removed], np.int64)
        pairs = _propose(stays, ranked, prints, settings, part_of(progress, begin, middle))
        codes = pairs[:, 0] * len(ranked.rows) + pairs[:, 1]
        is_new = ~is_in(codes, compared)
        if not is_new.any():
            return similar, len(compared)
        compared = np.sort(np.concatenate([compared, codes[is_new]]))
        rows = {place: int(ranked.rows[place]) for place in distinct(pairs[is_new].ravel()).tolist()}
        with kept_or_passing(None) as passing:
            sets = ShingleSets.make(chunks, rows, settings, passing, cores)
            counts = count_in_parts(pairs[is_new], sets, passing, cores, part_of(progress, middle, end))
        found = judge(pairs[is_new], counts, settings)
        similar += found
        duplicates += [pair for pair in found if pair.is_duplicate(settings)]
        begin = end


def _propose(
    places: NDArray[np.int64],
    ranked: Ranked,
    prints: Fingerprints,
    settings: DeduplicateConfig,
    progress: Progress | None,
) -> Pairs:
    """Pairs of those places in `ranked` that are worth a comparison, (P, 2), sorted."""
    places = places[prints.sizes[ranked.rows[places]] > 0]  # a text without words is like no other
    rows = ranked.rows[places]
    marks, sizes = prints.marks(rows), prints.sizes[rows]
    found: list[Pairs] = []
    for band in range(settings.bands):
        for pairs in pairs_in_band(prints.band(band)[rows]):
            least = least_jaccard(sizes[pairs[:, 0]], sizes[pairs[:, 1]], settings)
            found.append(pairs[is_plausible(marks, pairs, least)])
        if sum(map(len, found)) > COMPACT_AT:
            found = [distinct_pairs(found, len(rows))]
        if progress:
            progress(band + 1, settings.bands)
    return places[distinct_pairs(found, len(rows))]


def _evidence(
    ranked: Sequence[Document], similar: Sequence[Similar], config: DeduplicateConfig
) -> list[Duplicate]:
    """One row a removed document, and one a pair that stays as family."""
    removed = choose_removed(similar, config)
    rows = []
    for pair in similar:
        if removed.get(pair.other) is pair:
            rows.append(_duplicate(ranked, pair, "near" if pair.jaccard >= config.jaccard else "contained"))
        elif pair.other not in removed and pair.keeper not in removed:
            rows.append(_duplicate(ranked, pair, "family"))
    return rows


def _duplicate(ranked: Sequence[Document], pair: Similar, how: str) -> Duplicate:
    other, keeper = ranked[pair.other], ranked[pair.keeper]
    return Duplicate(other.id, keeper.id, other.digest, keeper.digest, pair.jaccard, pair.containment, how)


def _evidence_of_copies(
    documents: Iterable[Document], first: Mapping[str, Document], found: Sequence[Duplicate]
) -> list[Duplicate]:
    """One row a copy: of its first, or, where that went too, of what it went for."""
    went = {row.removed: row for row in found if row.how in RULES}
    rows = []
    for document in documents:
        original = first[document.digest]
        if document is not original:
            exact = Duplicate(document.id, original.id, document.digest, original.digest, 1.0, 1.0, "exact")
            rows.append(replace(went.get(original.id, exact), removed=document.id))
    return rows


def _write_decisions(
    out: Path,
    documents: Iterable[Document],
    removed: Mapping[str, Duplicate],
    family: Mapping[str, str],
    config: DeduplicateConfig,
) -> None:
    with (
        Writer(out / "decisions.parquet", Decision) as decisions,
        Writer(out / "families.parquet", Member) as members,
    ):
        for document in documents:
            members.write(Member(document.id, family[document.digest]))
            if row := removed.get(document.id):
                decisions.write(_decide(document, row, config))


def _decide(document: Document, row: Duplicate, config: DeduplicateConfig) -> Decision:
    value, threshold, says = {
        "exact": (1.0, 1.0, "the same text as"),
        "near": (row.jaccard, config.jaccard, f"{row.jaccard:.3f} alike with"),
        "contained": (row.containment, config.containment, f"{row.containment:.3f} of it stands in"),
    }[row.how]
    reason = f"{says} '{row.keeper}'"
    return Decision(document.id, "deduplicate", RULES[row.how], value, threshold, reason)
