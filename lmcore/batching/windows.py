"""Which tokens a training step or a validation sees.

A training batch is a pure function of (seed, step): to resume needs nothing but the step. Each epoch cuts the
stream, closed to a ring, into windows from another place on, so that over the epochs a token is seen after
many lengths of context; it visits them in a seeded order. A window of T inputs has T targets, shifted by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lmcore.batching.permutation import EpochOrder, stable_hash
from lmcore.batching.stream import Origin, Stream, Tokens


class TrainingWindows:
    """The batches of a training run, any of them at once, in any order."""

    def __init__(self, stream: Stream, context_tokens: int, seed: int) -> None:
        if stream.num_tokens <= context_tokens:
            raise ValueError(
                f"{stream.num_tokens} tokens are fewer than one window of {context_tokens + 1}: "
                "add text, or choose a smaller context_tokens"
            )
        self.stream = stream
        self.context_tokens = context_tokens
        self.seed = seed
        self.num_windows = stream.num_tokens // context_tokens
        """Windows in one epoch; all but num_tokens % context_tokens of the tokens are targets in it, once."""
        self._order = EpochOrder(self.num_windows, "windows", seed)

    @property
    def origin(self) -> Origin:
        """What decides which tokens come when."""
        own: Origin = {"order": "windows", "context_tokens": self.context_tokens, "seed": self.seed}
        return {**self.stream.origin, **own}

    def batch(self, step: int, batch_size: int) -> Tokens:
        """The tokens of a step counted from 0, (B, T+1): inputs are [:, :-1], targets [:, 1:]."""
        return self.windows(step * batch_size, batch_size)

    def windows(self, first: int, count: int) -> Tokens:
        """`count` windows from number `first` of the run on, (count, T+1)."""
        firsts, length = self._starts(first, count), self.context_tokens + 1
        lengths = np.full(count, length)
        if (beyond := firsts + length - self.stream.num_tokens).max(initial=0) > 0:
            last = np.flatnonzero(beyond > 0)  # they go on where the ring begins
            lengths[last] -= beyond[last]
            firsts = np.insert(firsts, last + 1, 0)
            lengths = np.insert(lengths, last + 1, beyond[last])
        return self.stream.gather(firsts, lengths).reshape(count, length)

    def starts(self, step: int, batch_size: int) -> NDArray[np.int64]:
        """Where in the stream each window of a step begins, (B,)."""
        return self._starts(step * batch_size, batch_size)

    def _starts(self, first: int, count: int) -> NDArray[np.int64]:
        found = [np.empty(0, dtype=np.int64)]
        for epoch, windows in self._order.stretches(first, count):
            offset = stable_hash("offset", self.seed, epoch) % self.stream.num_tokens
            found.append((offset + windows * self.context_tokens) % self.stream.num_tokens)
        return np.concatenate(found)

    def epoch(self, step: int, batch_size: int) -> float:
        """How often the whole stream has been seen when a step begins."""
        return step * batch_size / self.num_windows


class ValidationWindows:
    """Fixed, disjoint windows in which each token that is chosen is a target once, tails included.

    The stream is read as if an end-of-text token stood before it, so that its first token is a target too.
    """

    def __init__(
        self,
        stream: Stream,
        context_tokens: int,
        eos_id: int,
        token_bytes: NDArray[np.int64],
        max_tokens: int | None = None,
    ) -> None:
        if not stream.num_tokens:
            raise ValueError("the side has no tokens: give it a share in the corpus's split")
        self.stream = stream
        self.context_tokens = context_tokens
        self.eos_id = eos_id
        self.token_bytes = token_bytes
        self.starts = _spread(-(-stream.num_tokens // context_tokens), context_tokens, max_tokens)
        """The first target of each window, ascending."""

    @property
    def num_targets(self) -> int:
        """Tokens that are scored."""
        return int(sum(self._length(first) for first in self.starts))

    @cached_property
    def num_bytes(self) -> int:
        """UTF-8 bytes of the text that is scored: what bits per byte are divided by."""
        return int(sum(self.token_bytes[batch[:, 1:]].sum() for batch in self.batches(64)))

    def batches(self, batch_size: int) -> Iterator[Tokens]:
        """Every window once, as (B, T+1) arrays of at most batch_size rows; a shorter tail comes alone."""
        full = [first for first in self.starts if self._length(first) == self.context_tokens]
        for begin in range(0, len(full), batch_size):
            yield self._gather(full[begin : begin + batch_size])
        if len(full) < len(self.starts):
            yield self._gather(self.starts[-1:])

    def _gather(self, starts: list[int]) -> Tokens:
        length = self._length(starts[0]) + 1
        firsts, lengths = np.array(starts) - 1, np.full(len(starts), length)
        if starts[0] > 0:
            return self.stream.gather(firsts, lengths).reshape(-1, length)
        firsts[0], lengths[0] = 0, length - 1
        return np.append(self.eos_id, self.stream.gather(firsts, lengths)).reshape(-1, length)

    def _length(self, first: int) -> int:
        return min(self.context_tokens, self.stream.num_tokens - first)


def _spread(num_windows: int, context_tokens: int, max_tokens: int | None) -> list[int]:
    """The starts of all windows, or of as many as max_tokens allow (at least one), evenly spread."""
    chosen = num_windows
    if max_tokens is not None:
        chosen = min(num_windows, max(1, max_tokens // context_tokens))
    return [number * num_windows // chosen * context_tokens for number in range(chosen)]
