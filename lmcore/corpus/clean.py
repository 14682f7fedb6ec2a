"""Texts are normalised and mended, and all that filters want to know of them is measured, in one reading.

Nothing is judged here. The numbers go into a narrow table, `signals.parquet`, from which `filter.py` decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from lmcore.corpus.chunks import Chunk, chunks_of
from lmcore.corpus.cleaners import Cleaned
from lmcore.corpus.document import Document, Facts, Progress, Rejected, Writer, join, reject
from lmcore.corpus.filters import Signals, column_of
from lmcore.corpus.normalize import normalize_text
from lmcore.corpus.pieces import Job, kept_or_passing, make_pieces
from lmcore.corpus.settings import CleanerPart, Measurement, NormalizeConfig
from lmcore.corpus.text import Text, Vocabulary

MOST_ROUNDS = 20
"""A cleaner that never rests is not waited for."""
FILES = ("documents.parquet", "rejected.parquet", "signals.parquet", "edits.parquet")


class NothingLeftError(ValueError):
    """A stage would hand on no document at all: which rule took most of them, and the cure."""


@dataclass(frozen=True, slots=True)
class DocumentEdit:
    """What one rule of a cleaner changed in one document."""

    id: str
    cleaner: str
    rule: str
    occurrences: int
    characters: int
    example: str


def clean_documents(
    raw: Sequence[Path],
    out: Path,
    normalize: NormalizeConfig,
    cleaners: Sequence[CleanerPart],
    measurements: Sequence[Measurement],
    *,
    pieces: Path | None = None,
    cores: int = 1,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Facts:
    """Clean the documents of raw folders and measure them.

    Written into `out`: `documents.parquet`, all texts of which something is left; `rejected.parquet`, the
    others; `signals.parquet`, a row of measurements for each document that is left; `edits.parquet`, what
    cleaners changed.

    Args:
        raw: folders that `read_source` filled; documents come in the order of their sources' names.
        pieces: where cleaned chunks are kept for the next time.
        progress: called with the bytes of text that are done, and all.

    Raises:
        NothingLeftError: no document came, or all are empty.
        ValueError: two documents have one id (a source was chosen twice).
    """
    chunks = [chunk for folder in sorted(raw) for chunk in chunks_of(folder / "documents.parquet")]
    jobs = [
        Job(chunk.digest, (chunk, normalize, tuple(cleaners), tuple(measurements)), chunk.size)
        for chunk in chunks
    ]
    with kept_or_passing(pieces) as kept:
        folders = list(make_pieces(kept, clean_chunk, jobs, cores, progress))
        kept.tell_reused(say, "cleaned")
        rows = {name: join([folder / name for folder in folders], out / name) for name in FILES}
    if not rows["documents.parquet"]:
        raise NothingLeftError(_nothing_left(rows["rejected.parquet"]))
    _check_ids(out / "documents.parquet")
    return {
        "documents": rows["documents.parquet"],
        "rejected": rows["rejected.parquet"],
        "edits": rows["edits.parquet"],
    }


def clean_chunk(
    folder: Path,
    chunk: Chunk,
    normalize: NormalizeConfig,
    cleaners: Sequence[CleanerPart],
    measurements: Sequence[Measurement],
) -> None:
    """Clean and measure some documents; a piece of `clean_documents`."""
    mend = [(part.type, part.build()) for part in cleaners]
    measure = _Measures(measurements)
    with (
        Writer(folder / FILES[0], Document) as kept,
        Writer(folder / FILES[1], Rejected) as rejected,
        Writer(folder / FILES[3], DocumentEdit) as edits,
    ):
        for document in _documents(chunk):
            text, changes = clean_text(document.text, normalize, mend)
            for cleaner, edit in changes:
                edits.write(DocumentEdit(document.id, cleaner, *edit))
            if text:
                document = document if text == document.text else document.with_text(text)
                kept.write(document)
                measure.add(document)
            else:
                reason = "no text is left after cleaning"
                rejected.write(reject(document, "clean", "empty", reason))
    measure.write(folder / FILES[2])


def clean_text(
    text: str, normalize: NormalizeConfig, mend: Sequence[tuple[str, Callable[[str], Cleaned]]]
) -> tuple[str, list[tuple[str, Any]]]:
    """The clean text, and (cleaner, edit) for what was changed on the way.

    Cleaners go over the text in turn until none of them finds anything more: what one leaves may be another's
    case, but not its own.
    """
    text, changes, num_resting = normalize_text(text, normalize), [], 0
    for name, cleaner in islice(cycle(mend), MOST_ROUNDS * len(mend)):
        cleaned = cleaner(text)
        changes += [(name, edit) for edit in cleaned.edits]
        if cleaned.text == text:
            num_resting += 1
        else:
            text = normalize_text(cleaned.text, normalize)
            num_resting = int(text == cleaned.text)
        if num_resting == len(mend):
            break
    return text, changes


class _Measures:
    """The table of signals, as it grows."""

    def __init__(self, measurements: Sequence[Measurement]) -> None:
        self._measures: list[tuple[str, Callable[[Text], Signals]]] = [
            (part.type, part.build()) for part in measurements
        ]
        self._vocabulary = Vocabulary()
        self._columns: defaultdict[str, list[Any]] = defaultdict(list)

    def add(self, document: Document) -> None:
        text = Text(document.text, self._vocabulary)
        row: dict[str, Any] = {
            "id": document.id,
            "source": document.source,
            "characters": len(document.text),
            "bytes": len(document.text.encode()),
        }
        for name, measure in self._measures:
            row |= {column_of(name, signal): value for signal, value in measure(text).items()}
        for column, value in row.items():
            self._columns[column].append(value)

    def write(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {
            name: pa.array(values, pa.string() if isinstance(values[0], str) else pa.float64())
            for name, values in self._columns.items()
        }
        pq.write_table(pa.table(columns), path, compression="zstd")


def _nothing_left(num_rejected: int) -> str:
    if not num_rejected:
        return "no document to clean; choose a source that has some"
    return f"of all {num_rejected} documents no text is left after cleaning; loosen or leave out a cleaner"


def _check_ids(file: Path) -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:  # without what `read_table` imports for folders of files
        ids = opened.read(["id"])["id"]
    counts = pc.value_counts(ids)
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise ValueError(f"document '{twice[0]['values']}' came twice; choose each source once")


def _documents(chunk: Chunk) -> Iterable[Document]:
    for batch in chunk.batches():
        for row in batch.to_pylist():
            yield Document(**row)
