"""Find documents that hold items of evaluation sets, by n-grams of words (Brown et al. 2020, appendix C).

Letter case and punctuation do not count. What is found by hashes is compared word by word, and each pair of
document and item leaves a row of evidence, also where it removes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from lmcore.corpus.chunks import Chunk, chunks_of
from lmcore.corpus.document import Decision, Document, Facts, Progress, Writer, read
from lmcore.corpus.fingerprints import texts_of
from lmcore.corpus.ngrams import Found, Items, spelt, write_found
from lmcore.corpus.pieces import Job, Pieces, kept_or_passing, make_pieces
from lmcore.corpus.settings import DecontaminateConfig
from lmcore.corpus.words import distinct, in_ranges

EXAMPLE = 200
"""Characters of a shared n-gram that are shown."""


@dataclass(frozen=True, slots=True)
class Contamination:
    """Evidence for one document and one item."""

    id: str
    item: str
    how: str
    """removed; or kept, where too little is shared."""
    ngrams: int
    """Distinct n-grams that both have."""
    common: int
    """Those of them that stand in too many documents to count alone."""
    share: float
    """N-grams that both have, as a share of the item's."""
    begin: int
    """Character of the document at which the first of them begins, if possible one that is not common."""
    example: str
    """The document's words there."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much of a document stands in others."""

    id: str
    ngrams: int
    """Its distinct n-grams; 0 if it is too short to check."""
    shared: int
    share: float


def decontaminate(
    documents: Path,
    earlier: Sequence[Path],
    evaluation: Sequence[Path],
    out: Path,
    settings: DecontaminateConfig,
    pieces: Path | None = None,
    cores: int = 1,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Facts:
    """Write `decisions.parquet` and `contamination.parquet` into `out`.

    Args:
        earlier: folders with `decisions.parquet`; documents that stand there are passed over.
        evaluation: folders that `read_source` filled; each document is an item.
        pieces: a folder in which what chunks hold is kept for the next time.
        progress: called with bytes that are done, and of how many.
        say: told what was taken over from earlier runs.
    """
    file = documents / "documents.parquet"
    gone = {row.id for folder in earlier for row in read(folder / "decisions.parquet", Decision)}
    ids = [document.id for document in read(file, Document, ["id"])]
    stays = np.array([id not in gone for id in ids], np.bool_)
    names = [each for folder in evaluation for each in read(folder / "documents.parquet", Document)]
    items = Items.of([each.text for each in names], settings.ngram_words, settings.min_item_words)
    chunks = chunks_of(file)
    with kept_or_passing(pieces) as kept:
        found = _found(chunks, items, kept, cores, progress)
        kept.tell_reused(say, "searched")
    shared = list(_shared(found.of(stays[found.texts]), items, settings.max_documents))
    worst: dict[int, _Shared] = {}
    rows = []
    for each in shared:
        goes = _removes(each, settings, int(items.totals[each.item]))
        if goes and (each.row not in worst or each.share > worst[each.row].share):
            worst[each.row] = each
        item, how = names[each.item].id, "removed" if goes else "kept"
        numbers = (each.ngrams, each.common, each.share, each.begin)
        rows.append((each, Contamination(ids[each.row], item, how, *numbers, example="")))
    _write_evidence(out, chunks, rows)
    with Writer(out / "decisions.parquet", Decision) as decisions:
        for row, each in sorted(worst.items()):
            decisions.write(_decide(ids[row], names[each.item].id, each, settings))
    return {
        "documents": int(stays.sum()) - len(worst),
        "rejected": len(worst),
        "items": len(names),
        "items_too_short": items.too_short,
        "items_found": len({each.item for each in shared}),
    }


def overlap(train: Path, test: Path, ngram_words: int = 13, min_words: int = 8) -> list[Overlap]:
    """For each document of one file, the share of its n-grams that stand in the documents of another one.

    Args:
        train: Parquet of documents, read some at a time; `test` is held in memory.
        min_words: a document of fewer words than an n-gram is looked for as a whole, unless it has fewer
            words than this.
    """
    documents = list(read(test, Document, ["id", "text"]))
    items = Items.of([document.text for document in documents], ngram_words, min_words)
    present = np.zeros(0, np.uint64)
    for chunk in chunks_of(train):
        for texts in texts_of(chunk):
            present = distinct(np.concatenate([present, items.ngrams.find(texts).hashes]))
    shared = np.bincount(items.found.texts[np.isin(items.found.hashes, present)], minlength=len(documents))
    return [
        Overlap(document.id, total, number, number / total if total else 0.0)
        for document, total, number in zip(documents, items.totals.tolist(), shared.tolist(), strict=True)
    ]


@dataclass(frozen=True)
class _Shared:
    """What a document and an item have in common."""

    row: int
    item: int
    ngrams: int
    common: int
    share: float
    begin: int
    end: int


def _found(
    chunks: Sequence[Chunk], items: Items, kept: Pieces, cores: int, progress: Progress | None
) -> Found:
    """The items' n-grams in all documents, by row; only those whose words are the same."""
    with kept_or_passing(None) as passing:
        file = passing.scratch() / "ngrams.npz"
        items.ngrams.save(file)
        digest = items.ngrams.digest
        jobs = [Job(f"{chunk.digest} {digest}", (chunk, file), chunk.size) for chunk in chunks]
        folders = list(make_pieces(kept, write_found, jobs, cores, progress))
    parts = []
    for chunk, folder in zip(chunks, folders, strict=True):
        part = Found(*(np.load(folder / f"{name}.npy") for name in Found._fields))
        parts.append(part._replace(texts=part.texts + chunk.first))
    found = Found.join(parts)
    hashes, places = np.unique(items.found.hashes, return_index=True)
    numbers = np.searchsorted(hashes, found.hashes)
    asked = distinct(numbers)
    words = dict(zip(asked.tolist(), spelt(items.texts, items.found.of(places[asked])), strict=True))
    digests = (row.tobytes() for folder in folders for row in np.load(folder / "digests.npy"))
    same = [words[number] == digest for number, digest in zip(numbers.tolist(), digests, strict=True)]
    return found.of(np.array(same, np.bool_))


def _shared(found: Found, items: Items, max_documents: int) -> Iterator[_Shared]:
    """Each pair of document and item that share an n-gram, by row, then item."""
    order = np.argsort(items.found.hashes, kind="stable")
    hashes, owners = items.found.hashes[order], items.found.texts[order]
    starts = np.searchsorted(hashes, found.hashes)
    counts = np.searchsorted(hashes, found.hashes, side="right") - starts
    _, numbers, documents = np.unique(found.hashes, return_inverse=True, return_counts=True)
    is_common = np.repeat(documents[numbers] > max_documents, counts)
    item = owners[in_ranges(starts, counts)]
    row, begin, end = (np.repeat(column, counts) for column in (found.texts, found.begins, found.ends))
    order = np.lexsort((begin, is_common, item, row))  # what is not common comes first, as the example
    row, item, begin, end = (each[order] for each in (row, item, begin, end))
    is_common = is_common[order]
    changes = np.flatnonzero((np.diff(row) != 0) | (np.diff(item) != 0)) + 1
    for start, stop in pairwise([0, *changes.tolist(), len(row)] if len(row) else []):
        number, of = stop - start, int(item[start])
        yield _Shared(
            int(row[start]),
            of,
            number,
            int(is_common[start:stop].sum()),
            number / int(items.totals[of]),
            int(begin[start]),
            int(end[start]),
        )


def _removes(shared: _Shared, settings: DecontaminateConfig, total: int) -> bool:
    is_rare = shared.ngrams > shared.common
    holds_it = shared.share >= settings.min_share and (is_rare or total > settings.ngram_words)
    return holds_it or (is_rare and settings.definition == "any_ngram")


def _decide(id: str, item: str, shared: _Shared, settings: DecontaminateConfig) -> Decision:
    if shared.share >= settings.min_share:
        reason = f"holds {shared.share:.3f} of the evaluation item '{item}'"
        return Decision(id, "decontaminate", "evaluation_item", shared.share, settings.min_share, reason)
    reason = f"shares {shared.ngrams} runs of {settings.ngram_words} words with the evaluation item '{item}'"
    return Decision(id, "decontaminate", "evaluation_ngram", float(shared.ngrams), 1.0, reason)


def _write_evidence(
    out: Path, chunks: Sequence[Chunk], rows: Sequence[tuple[_Shared, Contamination]]
) -> None:
    """The rows, each with the words of its example."""
    waiting = list(reversed(rows))
    with Writer(out / "contamination.parquet", Contamination) as writer:
        for chunk in chunks:
            if not waiting or waiting[-1][0].row >= chunk.first + chunk.count:
                continue
            number = chunk.first
            for texts in texts_of(chunk):
                for text in texts:
                    while waiting and waiting[-1][0].row == number:
                        shared, row = waiting.pop()
                        words = " ".join(text[shared.begin : shared.end].split())
                        writer.write(replace(row, example=words[:EXAMPLE]))
                    number += 1
