"""All distinct pieces in one row of cells, one for each byte, in which neighbours are found by length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmcore.tokenizers.piece_counts import Totals

Cells = NDArray[np.signedinteger[Any]]
_BETWEEN, _INSIDE = -1, -2
"""What stands between pieces, and in a token behind its first byte."""
_BLOCK = 1 << 20
_BYTES_FOR_CELL = 24
"""Memory of a cell, with what `learn` notes of it, about."""


class _Room:
    """Arrays of zeros, in memory or in files of a folder, which the system reads and writes as it must."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def zeros(self, name: str, size: int, kind: np.dtype[Any] | type) -> NDArray[Any]:
        if self._folder is None or not size:
            return np.zeros(size, dtype=kind)
        return np.asarray(np.memmap(self._folder / name, dtype=kind, mode="w+", shape=(size,)))


class Stream:
    """Pieces as rows of tokens, to be merged in place.

    Args:
        pieces: distinct pieces with their counts.
        byte_ids: the id of each byte, (256,).
        folder: where cells are kept that do not fit into `memory_bytes`.
    """

    def __init__(self, pieces: Totals, byte_ids: NDArray[np.int32], folder: Path, memory_bytes: int) -> None:
        size = 1 + pieces.num_bytes + pieces.num_pieces
        self.cell_type = np.dtype(np.int32 if size < 1 << 31 else np.int64)
        is_on_disk = size * _BYTES_FOR_CELL > memory_bytes
        self._room = _Room(folder if is_on_disk else None)
        self._symbols = self._room.zeros("symbols", size, np.int32)
        """The token that begins at each cell, (S,)."""
        self._words = self._room.zeros("words", size, np.int32)
        """The piece that each cell belongs to."""
        self._spans = self._room.zeros("spans", size, np.int32)
        """The bytes of each token, at its first and at its last cell."""
        self._counts = self._room.zeros("counts", pieces.num_pieces, np.int64)
        """How often each piece occurs."""
        self._spans[:] = 1
        self._symbols[:] = _BETWEEN
        cell = word = 0
        for part in pieces.read():
            words = np.repeat(np.arange(len(part.lengths)), part.lengths)
            cells = np.arange(len(part.data)) + words + cell + 1
            self._symbols[cells] = byte_ids[np.frombuffer(part.data, dtype=np.uint8)]
            self._words[cells] = words + word
            self._counts[word : word + len(part.counts)] = part.counts
            cell, word = cell + len(part.data) + len(part.lengths), word + len(part.lengths)

    def room_for_pairs(self) -> Cells:
        """Cells for all pairs that there will ever be: the first ones, and two for each merge."""
        return self._room.zeros("pairs", 3 * len(self._symbols), self.cell_type)

    def pairs(self) -> Iterator[tuple[int, NDArray[np.int64], Cells]]:
        """For each token the tokens behind it, and the cells where it begins, rising."""
        for token, cells in self._cells_by_token():
            behind = self._symbols[cells + 1]
            yield token, behind[behind >= 0].astype(np.int64), cells[behind >= 0]

    def _cells_by_token(self) -> Iterator[tuple[int, Cells]]:
        """A counting sort, some cells at a time."""
        most = int(self._symbols.max(initial=0)) + 1
        blocks = range(0, len(self._symbols), _BLOCK)
        sizes = np.zeros(most + 1, dtype=np.int64)
        for first in blocks:
            sizes += np.bincount(self._symbols[first : first + _BLOCK] + 1, minlength=most + 1)
        ends = np.cumsum(sizes)
        filled = ends - sizes
        in_order = self._room.zeros("in_order", len(self._symbols), self.cell_type)
        for first in blocks:
            symbols = self._symbols[first : first + _BLOCK] + 1
            order = np.argsort(symbols.astype(np.int16), kind="stable") + first
            for token, size in enumerate(np.bincount(symbols, minlength=most + 1).tolist()):
                in_order[filled[token] : filled[token] + size] = order[:size]
                filled[token] += size
                order = order[size:]
        for token in np.flatnonzero(sizes[1:]).tolist():
            yield token, in_order[ends[token] : ends[token + 1]]

    def times(self, cells: Cells) -> NDArray[np.int64]:
        """How often the piece of each cell occurs."""
        return self._counts[self._words[cells]]

    def count(self, cells: Cells) -> int:
        """How often all that is in these cells occurs."""
        return int(self.times(cells).sum())

    def still(self, cells: Cells, left: int, right: int) -> Cells:
        """Those cells in which `left` begins and `right` stands behind it."""
        cells = cells[self._symbols[cells] == left]
        return cells[self._symbols[cells + self._spans[cells]] == right]

    def merge(self, cells: Cells, token: int, *, is_double: bool) -> Cells:
        """Put `token` in the place of what begins at each cell and its neighbour; the cells where it begins.

        Where a token is merged with itself, pairs overlap: the first one wins, from left to right.
        """
        seconds = cells + self._spans[cells]
        if is_double:
            chosen = _without_overlaps(cells, seconds)
            cells, seconds = cells[chosen], seconds[chosen]
        lengths = self._spans[cells] + self._spans[seconds]
        self._symbols[cells] = token
        self._symbols[seconds] = _INSIDE
        self._spans[cells] = lengths
        self._spans[cells + lengths - 1] = lengths
        return cells

    def before(self, cells: Cells) -> tuple[Cells, NDArray[np.int32]]:
        """Where the token before each cell begins, and which it is; negative where there is none."""
        found = cells - self._spans[cells - 1]
        return found, self._symbols[found]

    def behind(self, cells: Cells) -> NDArray[np.int32]:
        """The token behind the one that begins at each cell; negative where there is none."""
        return self._symbols[cells + self._spans[cells]]


def _without_overlaps(firsts: Cells, seconds: Cells) -> NDArray[np.bool_]:
    """Of runs of pairs, each beginning where the one before it ends, the first, third, fifth, ..."""
    order = np.arange(len(firsts))
    goes_on = np.append(False, seconds[:-1] == firsts[1:])
    run = np.maximum.accumulate(np.where(goes_on, 0, order))
    return (order - run) % 2 == 0
