"""Remove documents that say what another one says: exact copies, near copies, and parts of longer ones.

Pairs are proposed by MinHash and judged by their exact shingle sets; every removal leaves its evidence. Of
two that are alike the longer one stays, then the one with the smaller digest: no order of input decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lmcore.corpus.document import (
    Document,
    Duplicate,
    Facts,
    Rejected,
    Writer,
    read,
    reading_order,
    reject,
    write,
)
from lmcore.corpus.minhash import MinHash, candidate_pairs
from lmcore.corpus.settings import DeduplicateConfig
from lmcore.corpus.similarity import Similar, choose_removed, families, verify
from lmcore.corpus.words import Hashes, Shingler

RULES = {"exact": "exact_duplicate", "near": "near_duplicate", "contained": "contained"}


class Entry(NamedTuple):
    """What is remembered of a document while its text stays on disk."""

    document: Document
    """Without its text."""
    length: int
    signature: Hashes | None
    """None for a text without words, which is like no other."""


def deduplicate(documents: Path, out: Path, settings: DeduplicateConfig) -> Facts:
    """Write what stays to `documents.parquet` (with families), what goes to `rejected.parquet`, in `out`.

    `duplicates.parquet` holds one row of evidence for each document that went, and one for each pair that is
    alike and stays, as family. Kept in memory are a signature for each document and the shingles of those
    that are in a proposed pair.

    Args:
        documents: the folder that `clean_documents` filled.
    """
    file = documents / "documents.parquet"
    entries = _entries(file, settings)
    first = _first_of_each_text(entry.document for entry in entries)
    ranked = sorted(
        (entry for entry in entries if first[entry.document.digest] is entry.document),
        key=lambda entry: (-entry.length, entry.document.digest),
    )
    pairs = _propose(ranked)
    similar = verify(pairs, _shingle_sets(file, ranked, pairs.flatten().tolist(), settings), settings)
    digests = [entry.document.digest for entry in ranked]
    family = dict(zip(digests, families(digests, similar), strict=True))
    found = _evidence(ranked, similar, settings)
    found += _evidence_of_copies((entry.document for entry in entries), first, found)
    write(out / "duplicates.parquet", Duplicate, sorted(found, key=lambda row: (row.removed, row.keeper)))
    removed = {row.removed: row for row in found if row.how in RULES}
    facts = _write_documents(file, out, removed, family, settings)
    sizes = Counter(family.values())
    return facts | {
        "proposed_pairs": len(pairs),
        "family_pairs": len(found) - len(removed),
        "families": len(sizes),
        "largest_family": max(sizes.values(), default=0),
    }


def _entries(file: Path, config: DeduplicateConfig) -> list[Entry]:
    shingler, minhash = Shingler(config.shingle_words), MinHash(config.bands, config.rows, config.seed)
    entries = []
    for document in read(file, Document):
        shingles = shingler.shingles(document.text)
        signature = minhash.signature(shingles) if len(shingles) else None
        entries.append(Entry(replace(document, text=""), len(document.text), signature))
    return entries


def _first_of_each_text(documents: Iterable[Document]) -> dict[str, Document]:
    """For each digest, the document that stands first in reading order."""
    first: dict[str, Document] = {}
    for document in documents:
        other = first.setdefault(document.digest, document)
        if reading_order(document) < reading_order(other):
            first[document.digest] = document
    return first


def _propose(ranked: Sequence[Entry]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Pairs of places in `ranked` to compare, (P, 2)."""
    places = [place for place, entry in enumerate(ranked) if entry.signature is not None]
    if not places:
        return np.zeros((0, 2), np.int64)
    signatures = np.stack([signature for entry in ranked if (signature := entry.signature) is not None])
    return np.array(places, np.int64)[candidate_pairs(signatures)]


def _shingle_sets(
    file: Path, ranked: Sequence[Entry], places: Iterable[int], config: DeduplicateConfig
) -> dict[int, Hashes]:
    wanted = {ranked[place].document.id: place for place in set(places)}
    shingler = Shingler(config.shingle_words)
    return {
        wanted[document.id]: shingler.shingle_set(document.text)
        for document in (read(file, Document) if wanted else ())
        if document.id in wanted
    }


def _evidence(
    ranked: Sequence[Entry], similar: Sequence[Similar], config: DeduplicateConfig
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


def _duplicate(ranked: Sequence[Entry], pair: Similar, how: str) -> Duplicate:
    other, keeper = ranked[pair.other].document, ranked[pair.keeper].document
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


def _write_documents(
    file: Path,
    out: Path,
    removed: Mapping[str, Duplicate],
    family: Mapping[str, str],
    config: DeduplicateConfig,
) -> Facts:
    with (
        Writer(out / "documents.parquet", Document) as kept,
        Writer(out / "rejected.parquet", Rejected) as rejected,
    ):
        for document in read(file, Document):
            document = replace(document, family=family[document.digest])
            if row := removed.get(document.id):
                rejected.write(_reject(document, row, config))
            else:
                kept.write(document)
    hows = Counter(row.how for row in removed.values())
    return {
        "documents": kept.num_rows,
        "characters": kept.num_characters,
        "rejected": rejected.num_rows,
        **{f"{RULES[how]}s" if how != "contained" else how: hows[how] for how in RULES},
    }


def _reject(document: Document, row: Duplicate, config: DeduplicateConfig) -> Rejected:
    value, threshold, says = {
        "exact": (1.0, 1.0, "the same text as"),
        "near": (row.jaccard, config.jaccard, f"{row.jaccard:.3f} alike with"),
        "contained": (row.containment, config.containment, f"{row.containment:.3f} of it stands in"),
    }[row.how]
    return reject(document, "deduplicate", RULES[row.how], f"{says} '{row.keeper}'", value, threshold)
