"""Training windows from several sources in chosen shares.

The documents of a source form a stream of their own, read where they lie. Each window comes from one source:
whose turn it is follows from (seed, window number) alone, by a rule that keeps every source near its share
over any stretch of windows. A source's windows come in the order that it would have on its own.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from lmcore.batching.permutation import stable_hash
from lmcore.batching.settings import MixtureConfig
from lmcore.batching.stream import Origin, Places, Stream, Tokens, cut
from lmcore.batching.token_shards import TokenShards
from lmcore.batching.windows import TrainingWindows
from lmcore.config import did_you_mean

_BITS = 32


class MixtureWindows:
    """`TrainingWindows` over several streams: the batches of a run, any of them at once, in any order."""

    def __init__(
        self, streams: Mapping[str, Stream], shares: Mapping[str, float], context_tokens: int, seed: int
    ) -> None:
        """Shares need not sum to one; a stream without a share is not read.

        Raises:
            ValueError: a share names no stream, or a stream is shorter than a window.
        """
        check_sources(shares, streams)
        self.context_tokens = context_tokens
        self.seed = seed
        self.shares = normalized(shares)
        self._turns = Turns(shares, seed)
        self._sources = {name: _windows(name, streams[name], context_tokens, seed) for name in sorted(shares)}

    @property
    def origin(self) -> Origin:
        """What decides which tokens come when."""
        origin: dict[str, str | int | float] = {"order": "mixture", "context_tokens": self.context_tokens}
        for name, source in self._sources.items():
            origin[f"share of {name}"] = self.shares[name]
            origin |= {f"{what} of {name}": value for what, value in source.stream.origin.items()}
        return {**origin, "seed": self.seed}

    def batch(self, step: int, batch_size: int) -> Tokens:
        """The tokens of a step counted from 0, (B, T+1): inputs are [:, :-1], targets [:, 1:]."""
        return self.windows(step * batch_size, batch_size)

    def windows(self, first: int, count: int) -> Tokens:
        """`count` windows from number `first` of the run on, (count, T+1)."""
        turns = [self._turns.turn(number) for number in range(first, first + count)]
        tokens = np.empty((count, self.context_tokens + 1), dtype=np.int64)
        for name, source in self._sources.items():
            if rows := [row for row, (owner, _) in enumerate(turns) if owner == name]:
                tokens[rows] = source.windows(turns[rows[0]][1], len(rows))  # its numbers are consecutive
        return tokens

    def drawn(self, num_windows: int) -> dict[str, tuple[int, float]]:
        """Each source's target tokens among a run's first windows, and how many epochs of it they are."""
        counts = self._turns.count(num_windows)
        return {
            name: (counts[name] * self.context_tokens, counts[name] / source.num_windows)
            for name, source in self._sources.items()
        }


class SourceStream:
    """Stretches of a stream as one row, in their order."""

    def __init__(self, stream: Stream, firsts: Places, lengths: Places) -> None:
        """`lengths` tokens from each of `firsts` on, ascending; stretches that touch are read as one."""
        is_new = np.concatenate([[True], firsts[1:] != (firsts + lengths)[:-1]])
        self.num_tokens = int(lengths.sum())
        self.origin = stream.origin
        self._stream = stream
        self._firsts = firsts[is_new]
        self._edges = np.append((np.cumsum(lengths) - lengths)[is_new], self.num_tokens)

    def gather(self, firsts: Places, lengths: Places) -> Tokens:
        """Stretches of `lengths` tokens from each of `firsts` on, one after the other, (sum of lengths,).

        Raises:
            IndexError: the stream ends before a stretch does.
        """
        parts, begins, lengths = cut(firsts, lengths, self._edges)
        return self._stream.gather(self._firsts[parts] + begins, lengths)


class Turns:
    """Gives every number a name, so that over any stretch each name comes as often as its share says.

    A binary tree of the names splits at every node the numbers that reach it by a balanced word: number n
    goes left where floor(n q + offset) steps up (Morse & Hedlund 1940), which is nowhere off its share q by
    one. A node passes a share of its error down, so rare names lie deep (Huffman 1952): over any stretch two
    names are off by less than 1, three by less than 2, any number by less than 4. Integers alone decide.
    """

    def __init__(self, shares: Mapping[str, float], seed: int) -> None:
        order = itertools.count()
        heap: list[tuple[float, int, str | _Split]] = []
        for name, share in sorted(shares.items()):
            heapq.heappush(heap, (share, next(order), name))
        while len(heap) > 1:
            (right_share, _, right), (left_share, number, left) = heapq.heappop(heap), heapq.heappop(heap)
            numerator = round(left_share / (left_share + right_share) * (1 << _BITS))
            offset = stable_hash("turns", seed, number) >> (64 - _BITS)
            split = _Split(left, right, min(numerator, (1 << _BITS) - 1), offset)
            heapq.heappush(heap, (left_share + right_share, next(order), split))
        self._root = heap[0][2]

    def turn(self, number: int) -> tuple[str, int]:
        """The name that a number has, and how many smaller numbers have it."""
        node = self._root
        while isinstance(node, _Split):
            before = node.num_left(number)
            if node.num_left(number + 1) > before:
                node, number = node.left, before
            else:
                node, number = node.right, number - before
        return node, number

    def count(self, number: int) -> dict[str, int]:
        """How many of the first numbers have each name."""
        return _count(self._root, number)


@dataclass(frozen=True)
class _Split:
    left: str | _Split
    right: str | _Split
    numerator: int
    """The left side's share in units of 2^-32; the left side is the larger one."""
    offset: int

    def num_left(self, number: int) -> int:
        """How many of the first numbers go left."""
        return (number * self.numerator + self.offset) >> _BITS


def _count(node: str | _Split, number: int) -> dict[str, int]:
    if isinstance(node, str):
        return {node: number}
    num_left = node.num_left(number)
    return _count(node.left, num_left) | _count(node.right, number - num_left)


def source_streams(shards: TokenShards, side: str) -> dict[str, SourceStream]:
    """The documents of a side, source by source, each as one stream; no token is copied."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for document in shards.documents(side):
        spans.setdefault(document.source, []).append((document.first_token, document.num_tokens))
    stream = shards.stream(side)
    tables = {name: np.array(spans[name], dtype=np.int64) for name in sorted(spans)}
    return {name: SourceStream(stream, table[:, 0], table[:, 1]) for name, table in tables.items()}


def shares_of(mixture: MixtureConfig, streams: Mapping[str, Stream]) -> dict[str, float]:
    """The share of each source that is read, in the order of their names; they sum to one.

    A temperature t gives each source tokens^(1/t) parts (Arivazhagan et al. 2019, arXiv:1907.05019).

    Raises:
        ValueError: a weight names no source.
    """
    if mixture.weights is not None:
        check_sources(mixture.weights, streams)
        return normalized(mixture.weights)
    assert mixture.temperature is not None, "settings have one or the other"
    power = 1 / mixture.temperature
    return normalized({name: stream.num_tokens**power for name, stream in streams.items()})


def normalized(weights: Mapping[str, float]) -> dict[str, float]:
    """Shares that sum to one, in the order of their names."""
    total = math.fsum(weights.values())
    return {name: weights[name] / total for name in sorted(weights)}


def check_sources(names: Iterable[str], known: Iterable[str]) -> None:
    """Raise ValueError for a name that no source has."""
    for name in names:
        if name not in known:
            raise ValueError(f"mixture: no source named '{name}'.{did_you_mean(name, known)}")


def _windows(name: str, stream: Stream, context_tokens: int, seed: int) -> TrainingWindows:
    try:
        return TrainingWindows(stream, context_tokens, seed)
    except ValueError as error:
        raise ValueError(f"mixture: source '{name}': {error}, or give weights without it") from None
