"""The gradient of one batch, with the same bits for any number of threads.

A kernel that splits its sums over threads rounds differently for every number of them. So each micro-batch is
computed by one thread from end to end, and their gradients are added up in the order of the batch. It is also
the faster way at small sizes: two threads that each run a pass do not wait for each other in every layer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from lmcore.train.batch import Batch, Rows
from lmcore.train.precision import WorkingModel

Item = TypeVar("Item")
Result = TypeVar("Result")


class Lanes:
    """Runs passes side by side, each on one thread, and gives their results in order."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._pool = ThreadPoolExecutor(number, "lane") if number > 1 else None

    def map(self, compute: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """`compute` of each item, in their order; at most one result per lane waits to be taken."""
        if self._pool is None:
            yield from map(compute, items)
            return
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(self._pool.submit(compute, item))
                if len(waiting) > self.number:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Let the threads end."""
        if self._pool is not None:
            self._pool.shutdown()


@contextmanager
def open_lanes(number: int) -> Iterator[Lanes]:
    """Lanes for a while, in which torch itself uses one thread a lane."""
    threads_before = torch.get_num_threads()
    torch.set_num_threads(1)
    lanes = Lanes(number)
    try:
        yield lanes
    finally:
        lanes.close()
        torch.set_num_threads(threads_before)


def batch_gradient(working: WorkingModel, batch: Batch, lanes: Lanes) -> tuple[float, list[Tensor]]:
    """Mean loss (nats per counted target) of a batch, and its gradients in float32, one per trained weight.

    Every counted target weighs the same, however the batch is cut: losses are summed and divided once.
    """
    device = working.weights[0].device
    total = torch.zeros((), dtype=torch.float64)
    sums = [torch.zeros_like(weight, dtype=torch.float32) for weight in working.weights]

    def one_pass(rows: Rows) -> tuple[Tensor, Sequence[Tensor]]:
        loss = working.model.loss(*rows.to(device))
        return loss.detach(), torch.autograd.grad(loss, working.weights)

    for loss, gradients in lanes.map(one_pass, batch.passes):
        total += loss.double().cpu()
        for summed, gradient in zip(sums, gradients, strict=True):
            summed += gradient
    for summed in sums:
        summed /= batch.num_targets
    return float(total) / batch.num_targets, sums
