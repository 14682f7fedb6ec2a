"""Whole documents put into rows by best fit, with hardly a place left empty.

A document that is longer than a row is cut into full rows and a rest; pieces are placed longest first, each
where it leaves the least room (best-fit decreasing; Ding et al. 2024, arXiv:2404.10830). Tokens stay where
they lie: what is made is an index of pieces. As in `windows`, a batch is a pure function of (seed, step).
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmcore.batching.permutation import EpochOrder
from lmcore.batching.stream import Origin, Places, Stream, Tokens

Numbers = NDArray[np.int32]


class PackedRows(NamedTuple):
    """Rows of several texts each."""

    tokens: Tokens
    """(B, T + 1) int64: inputs are [:, :-1], targets [:, 1:]."""
    segment_ids: Numbers
    """1, 2, ... for the texts of a row, (B, T + 1); 0 for what fills it up."""

    @property
    def positions(self) -> Numbers:
        """Each token's place in its text, from 0, (B, T + 1)."""
        places = np.arange(self.segment_ids.shape[1], dtype=np.int32)
        begins = np.diff(self.segment_ids, axis=1, prepend=self.segment_ids[:, :1]) != 0
        return places - np.maximum.accumulate(np.where(begins, places, 0), axis=1, dtype=np.int32)

    @property
    def is_counted(self) -> NDArray[np.bool_]:
        """Targets that their own text's tokens tell, (B, T): neither another text's first one nor padding."""
        after = self.segment_ids[:, 1:]
        return (after == self.segment_ids[:, :-1]) & (after > 0)


class PackedWindows:
    """Documents in rows, batch by batch; every token of every document is in one row of each epoch."""

    def __init__(
        self, stream: Stream, offsets: Places, context_tokens: int, seed: int, pad_id: int = 0
    ) -> None:
        """Document n is tokens offsets[n] to offsets[n + 1] of the stream; pad_id fills what stays empty.

        Raises:
            ValueError: there is no document.
        """
        if len(offsets) < 2:
            raise ValueError("there are no documents to pack: add text, or loosen the filters")
        self.stream = stream
        self.context_tokens = context_tokens
        self.seed = seed
        self.pad_id = pad_id
        self._firsts, self._lengths, self._row_starts = _index(offsets, context_tokens + 1)
        self.num_windows = len(self._row_starts) - 1
        """Rows in one epoch."""
        self._order = EpochOrder(self.num_windows, "packed", seed)

    @property
    def origin(self) -> Origin:
        """What decides which tokens come when."""
        own: Origin = {"order": "packed", "context_tokens": self.context_tokens, "seed": self.seed}
        return {**self.stream.origin, **own}

    @property
    def full_share(self) -> float:
        """The share of all places in all rows that hold a token."""
        return float(self._lengths.sum() / (self.num_windows * (self.context_tokens + 1)))

    def batch(self, step: int, batch_size: int) -> PackedRows:
        """The rows of a step counted from 0."""
        return self.windows(step * batch_size, batch_size)

    def windows(self, first: int, count: int) -> PackedRows:
        """`count` rows from number `first` of the run on."""
        rows = np.concatenate([each for _, each in self._order.stretches(first, count)])
        begins = self._row_starts[rows]
        num_pieces = self._row_starts[rows + 1] - begins
        in_row = _counted(num_pieces)  # which piece of its row each one is
        pieces = np.repeat(begins, num_pieces) + in_row
        firsts, lengths, next_row = self._firsts[pieces], self._lengths[pieces], np.cumsum(num_pieces)
        empty = self.context_tokens + 1 - np.add.reduceat(lengths, next_row - num_pieces)
        numbers = np.insert(in_row + 1, next_row, 0).astype(np.int32)
        segment_ids = np.repeat(numbers, np.insert(lengths, next_row, empty)).reshape(count, -1)
        tokens = self.stream.gather(firsts, lengths)
        if empty.any():
            gathered, tokens = tokens, np.full(segment_ids.size, self.pad_id, dtype=np.int64)
            tokens[segment_ids.ravel() > 0] = gathered
        return PackedRows(tokens.reshape(segment_ids.shape), segment_ids)

    def epoch(self, step: int, batch_size: int) -> float:
        """How often every document has been seen when a step begins."""
        return step * batch_size / self.num_windows


def _index(offsets: Places, row_tokens: int) -> tuple[Places, Places, Places]:
    """Pieces in the order of their rows: where each begins, its length; and where each row's pieces begin."""
    documents = np.diff(offsets)
    num_pieces = -(-documents // row_tokens)
    number = _counted(num_pieces)
    firsts = np.repeat(offsets[:-1], num_pieces) + number * row_tokens
    lengths = np.minimum(np.repeat(offsets[1:], num_pieces) - firsts, row_tokens)
    rows = best_fit_decreasing(lengths, row_tokens)
    # Within a row in the order of placing, which is that of lengths.
    order = np.lexsort((-lengths, rows))
    return firsts[order], lengths[order], np.cumsum(np.append(0, np.bincount(rows)))


def best_fit_decreasing(lengths: Places, capacity: int) -> Places:
    """The bin of each piece, (N,), numbered as they are opened: longest first, each where it fits best.

    Of pieces equally long the first one, and of bins with equally little room the one that has had it for
    longest, comes first. Pieces of a length are placed together and bins with the same room stand in one
    queue, so the work is that of sorting and of a step for each length and room that meet.

    Raises:
        ValueError: a piece is longer than a bin, or has no length.
    """
    if len(lengths) and not 0 < lengths.min() <= lengths.max() <= capacity:
        raise ValueError(
            f"pieces of {lengths.min()} to {lengths.max()} tokens; expected between 1 and {capacity}"
        )
    bins = np.empty(len(lengths), dtype=np.int64)
    order = np.argsort(-lengths, kind="stable")
    sizes, counts = np.unique(lengths, return_counts=True)
    rooms, begin = _Rooms(capacity), 0
    for size, count in zip(sizes[::-1].tolist(), counts[::-1].tolist(), strict=True):
        bins[order[begin : begin + count]] = np.concatenate(rooms.place(size, count))
        begin += count
    return bins


class _Rooms:
    """Bins by the room that they have left."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.num_bins = 0
        self._queues: defaultdict[int, deque[Places]] = defaultdict(deque)
        self._has_bins = 0
        """Bit r is set where bins with room r wait."""

    def place(self, size: int, count: int) -> list[Places]:
        """The bins of `count` pieces of a size."""
        placed = []
        while count:
            waiting = self._has_bins >> size
            room = size + (waiting & -waiting).bit_length() - 1 if waiting else self.capacity
            times = room // size  # a bin stays the best one until no more goes in
            bins = self._take(room, -(-count // times))
            full = min(len(bins), count // times)
            placed.append(np.repeat(bins[:full], times))
            self._put(room - times * size, bins[:full])
            count -= full * times
            if full < len(bins):
                placed.append(np.repeat(bins[full:], count))
                self._put(room - count * size, bins[full:])
                count = 0
        return placed

    def _take(self, room: int, most: int) -> Places:
        """Some bins with this room, at most so many: those that have had it for longest, or new ones."""
        queue = self._queues[room]
        if not queue:
            self.num_bins += most
            return np.arange(self.num_bins - most, self.num_bins)
        bins = queue.popleft()
        if len(bins) > most:
            queue.appendleft(bins[most:])
        if not queue:
            self._has_bins ^= 1 << room
        return bins[:most]

    def _put(self, room: int, bins: Places) -> None:
        """Let bins wait that have this room now."""
        if room and len(bins):
            self._queues[room].append(bins)
            self._has_bins |= 1 << room


def _counted(lengths: Places) -> Places:
    """0, 1, ... anew for each length, (sum of lengths,)."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
