"""Hands out a run's batches in their order, from any step on, perhaps made ahead by threads.

The state is one integer, the step: a batch is a pure function of it, whoever makes it. What is ahead of the
trainer lives in threads of this process and in memory of its own, so that a crash leaves nothing behind.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from lmcore.batching.stream import Origin

B = TypeVar("B", covariant=True)
BATCHES_AHEAD = 2
"""Batches that each worker keeps ready or is making."""


class Windows(Protocol[B]):
    """`TrainingWindows`, `MixtureWindows`, `PackedWindows` or the like."""

    @property
    def origin(self) -> Origin:
        """What decides which tokens come when."""

    def windows(self, first: int, count: int) -> B:
        """`count` windows from number `first` of the run on."""


class BatchLoader(Generic[B]):
    """The batches of a run, one by one and without an end; of several ranks, each its rows of every batch.

    To iterate again goes on where the last iteration was left. Threads live as long as the iterator.

    Args:
        windows: what the run learns from.
        batch_size: windows per step, of all ranks together.
        rank, world_size: the rows of rank 0 come first in a batch, then those of rank 1, ...
        workers: threads that make batches ahead; 0 makes each when it is asked for. It changes no byte.
        first_step: where to begin.

    Raises:
        ValueError: the numbers do not fit together.
    """

    def __init__(
        self,
        windows: Windows[B],
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        workers: int = 0,
        first_step: int = 0,
    ) -> None:
        if batch_size < 1 or batch_size % world_size:
            raise ValueError(
                f"a batch of {batch_size} does not divide among {world_size} ranks; choose a multiple of them"
            )
        if not 0 <= rank < world_size:
            raise ValueError(f"rank {rank} of {world_size}; expected 0 to {world_size - 1}")
        if workers < 0 or first_step < 0:
            raise ValueError(f"{workers} workers from step {first_step} on; expected no negative number")
        self.windows = windows
        self.batch_size = batch_size
        self.rank = rank
        self.rows = batch_size // world_size
        """Windows per step of this rank."""
        self.workers = workers
        self.state = first_step
        """The step whose batch comes next: all that a checkpoint needs to keep, besides the fingerprint."""

    @property
    def fingerprint(self) -> dict[str, str | int | float]:
        """What a state is a place in, ready for JSON; number of ranks and workers are no part of it."""
        return {**self.windows.origin, "batch_size": self.batch_size}

    def resume(self, state: int, fingerprint: Mapping[str, str | int | float]) -> None:
        """Go on from a state that a loader with this fingerprint had.

        Raises:
            ValueError: it was of another tokenizer, other shards or another order, or is no step.
        """
        own = self.fingerprint
        for name in {**own, **fingerprint}:
            before, now = fingerprint.get(name, "none"), own.get(name, "none")
            if before != now:
                raise ValueError(
                    f"step {state} is of a run with {name} {_short(before)}, this one has {_short(now)}: "
                    f"resume with what the run began with, or begin at step 0"
                )
        if state < 0:
            raise ValueError(f"step {state} cannot be resumed; expected 0 or more")
        self.state = state

    def batch(self, step: int) -> B:
        """This rank's rows of the batch of a step counted from 0."""
        return self.windows.windows(step * self.batch_size + self.rank * self.rows, self.rows)

    def __iter__(self) -> Iterator[B]:
        """Batches from `state` on; an error while one is made is raised where that one is due."""
        while True:
            if self.workers:
                yield from self._made_ahead()
            else:
                batch = self.batch(self.state)
                self.state += 1
                yield batch

    def _made_ahead(self) -> Iterator[B]:
        """The same, until the process is forked: threads stay behind, and a child begins with its own."""
        owner, ahead = os.getpid(), deque[tuple[int, Future[B]]]()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="batches")
        try:
            while os.getpid() == owner:
                if ahead and ahead[0][0] != self.state:  # somebody resumed elsewhere
                    ahead.clear()
                for step in range(self.state + len(ahead), self.state + self.workers * BATCHES_AHEAD):
                    ahead.append((step, pool.submit(self.batch, step)))
                batch = ahead.popleft()[1].result()
                self.state += 1
                yield batch
        finally:
            if os.getpid() == owner:
                pool.shutdown(cancel_futures=True)


def _short(value: str | int | float) -> str:
    return str(value)[:12]  # of a digest
