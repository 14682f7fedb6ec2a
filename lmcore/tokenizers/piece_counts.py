"""How often each piece occurs in a corpus that may be larger than memory.

Counts are sums, so that the order of the texts does not matter. Where the table of distinct pieces outgrows
its budget it is written to disk and begun anew; DuckDB adds the parts up, on disk too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmcore.tokenizers.key_table import grown
from lmcore.tokenizers.piece_table import PieceTable, distinct, take
from lmcore.tokenizers.pieces import PART_END, Pieces, cut
from lmcore.tokenizers.settings import SMALLEST_VOCABULARY, TokenizerConfig

_ROWS = 1 << 16
_TEXT_CHARACTERS = 1 << 20
_LEAST_FOR_DUCKDB = 100_000_000
"""With less it cannot add up what does not fit."""


class Counts(NamedTuple):
    """Distinct pieces with their counts, some at a time."""

    data: bytes
    """The pieces, one behind the other."""
    lengths: NDArray[np.int64]
    counts: NDArray[np.int64]


class PieceCounts:
    """Counts the pieces of texts.

    Args:
        rule: name of a published pattern.
        folder: where parts are written to when they are too many; it must exist.
        memory_bytes: about what the table may take.
    """

    def __init__(self, rule: str, folder: Path, memory_bytes: int) -> None:
        self.rule, self.folder, self.memory_bytes = rule, folder, memory_bytes
        self.spilled: list[Path] = []
        """The parts on disk."""
        self._table, self._counts = PieceTable(), np.zeros(1 << 10, dtype=np.int64)

    def count(self, texts: Iterator[str]) -> None:
        """Add the pieces of texts, which are read a few at a time."""
        waiting: list[str] = []
        characters = 0
        for text in texts:
            waiting.append(text)
            characters += len(text)
            if characters >= _TEXT_CHARACTERS:
                self._count(waiting)
                waiting, characters = [], 0
        self._count(waiting)

    def totals(self) -> Totals:
        """Every piece once, with its count over all texts."""
        if not self.spilled:
            rows = self._rows()
            return Totals(len(rows.lengths), len(rows.data), None, rows)
        self._spill()
        return _add_up(self.spilled, self.folder, self.memory_bytes)

    def _count(self, texts: list[str]) -> None:
        for block in cut(texts, self.rule):
            raw = np.frombuffer(block.data, dtype=np.uint8)
            pieces = take(block, np.flatnonzero(raw[block.starts] < PART_END))
            self._add(pieces)
            if self._table.nbytes + self._counts.nbytes > self.memory_bytes:
                self._spill()

    def _add(self, pieces: Pieces) -> None:
        numbers = self._table.find(pieces)
        new, times = distinct(take(pieces, np.flatnonzero(numbers < 0)))
        added = self._table.add(new)
        self._counts = grown(self._counts, len(self._table))
        self._counts[added] = times
        known = np.bincount(numbers[numbers >= 0])
        self._counts[: len(known)] += known

    def _rows(self) -> Counts:
        return Counts(*self._table.spelled(), self._counts[: len(self._table)])

    def _spill(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        data, lengths, counts = self._rows()
        offsets = np.append(0, np.cumsum(lengths))
        pieces = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), len(lengths), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        )
        path = self.folder / f"pieces-{len(self.spilled)}.parquet"
        pq.write_table(pa.table({"piece": pieces, "times": counts}), path, row_group_size=_ROWS)
        self.spilled.append(path)
        self._table, self._counts = PieceTable(), np.zeros(1 << 10, dtype=np.int64)


def _add_up(parts: list[Path], folder: Path, memory_bytes: int) -> Totals:
    import duckdb

    out = folder / "pieces.parquet"
    limit = f"{max(memory_bytes, _LEAST_FOR_DUCKDB)}B"
    with duckdb.connect(config={"memory_limit": limit, "threads": 1}) as database:
        database.execute("SET temp_directory = ?", [str(folder / "adding")])
        database.execute("SET preserve_insertion_order = false")
        summed = database.sql(
            "SELECT piece, sum(times)::BIGINT AS times FROM read_parquet($parts) GROUP BY piece",
            params={"parts": [str(part) for part in parts]},
        )
        summed.write_parquet(str(out), row_group_size=_ROWS)
        size = database.execute("SELECT count(*), sum(octet_length(piece)) FROM read_parquet(?)", [str(out)])
        num_pieces, num_bytes = size.fetchall()[0]
    for part in parts:
        part.unlink()
    return Totals(num_pieces, num_bytes, out)


class Totals(NamedTuple):
    """Distinct pieces with their counts, in memory or on disk."""

    num_pieces: int
    num_bytes: int
    file: Path | None
    rows: Counts | None = None

    def read(self) -> Iterator[Counts]:
        """All of them, some at a time."""
        if self.rows:
            yield self.rows
        if self.file:
            import pyarrow.parquet as pq

            with pq.ParquetFile(self.file) as file:
                for batch in file.iter_batches(_ROWS):
                    pieces = batch["piece"].to_pylist()
                    lengths = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
                    yield Counts(b"".join(pieces), lengths, batch["times"].to_numpy())


def most_frequent(texts: Iterator[str], config: TokenizerConfig, scratch: Path | None) -> list[bytes]:
    """The pieces of more than a byte that fill a vocabulary, by falling count, then by their bytes."""
    with tempfile.TemporaryDirectory(dir=scratch, prefix="counts-") as folder:
        counted = PieceCounts(config.pre_tokenizer, Path(folder), config.memory_bytes)
        counted.count(texts)
        totals = counted.totals()
        counts = np.concatenate([np.zeros(0, dtype=np.int64), *(_of_several(part) for part in totals.read())])
        room = config.vocab_size - SMALLEST_VOCABULARY
        least = max(config.min_frequency, 1)
        if len(counts) > room:
            least = max(least, int(np.partition(counts, len(counts) - room - 1)[len(counts) - room - 1]))
        found = [pair for part in totals.read() for pair in _at_least(part, least)]
    return [piece for _, piece in sorted(found)[:room]]


def _of_several(part: Counts) -> NDArray[np.int64]:
    return part.counts[part.lengths > 1]


def _at_least(part: Counts, least: int) -> Iterator[tuple[int, bytes]]:
    """Negated counts and pieces."""
    ends = np.cumsum(part.lengths)
    for place in np.flatnonzero((part.counts >= least) & (part.lengths > 1)).tolist():
        end = int(ends[place])
        yield -int(part.counts[place]), part.data[end - int(part.lengths[place]) : end]
