"""Nats per token by strided windows, each token scored once.

A document stands alone: it is read as end-of-text, its tokens, end-of-text, and every token behind the first
is scored, the closing end-of-text included. A window holds at most `context` inputs and moves on by `stride`;
only the tokens that it is the first to see are counted. A smaller stride gives each of them more context and
a lower perplexity: scores compare at the same (context, stride) only, and over different tokenizers in bits
per byte only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmcore.runtime import usable_cores

Progress = Callable[[int, int], None]
ROWS = 256
"""Tokens whose logits are widened to float32 at a time: as many as stay in a processor's caches."""
Logits = Callable[[Tensor], Tensor]
"""(B, T) token ids to (B, T, V) logits."""


class Window(NamedTuple):
    """A stretch of a row of tokens: inputs [first, last), of which the targets from `scored` on are new."""

    document: int
    first: int
    scored: int
    last: int


def windows(num_targets: int, context: int, stride: int, document: int = 0) -> Iterator[Window]:
    """Cut a row of num_targets + 1 tokens so that each target is scored once, with as much context as fits.

    Target i is token i + 1. The first window scores `context` targets, each later one `stride`; the last
    reaches back, so that its targets have a full context, too.

    Raises:
        ValueError: the stride is not between 1 and the context: tokens would be skipped.
    """
    if not 1 <= stride <= context:
        raise ValueError(f"stride {stride} with context {context}: it must lie between 1 and the context")
    done = 0
    while done < num_targets:
        last = min(num_targets, done + (stride if done else context))
        yield Window(document, max(0, last - context), done, last)
        done = last


def score_documents(
    logits: Logits,
    documents: Sequence[NDArray[Any]],
    prefix: int,
    *,
    context: int,
    stride: int,
    batch_tokens: int = 4096,
    device: str = "cpu",
    progress: Progress | None = None,
) -> list[NDArray[np.float64]]:
    """The surprise in nats of every token of every document, each read behind the `prefix` id alone.

    Windows of equal length share a forward pass of about batch_tokens inputs, so nothing is padded. On a CPU
    each pass keeps to one thread and several run side by side: bits do not depend on the number of threads.
    `progress` is told windows.
    """
    rows = [np.concatenate([[prefix], tokens]).astype(np.int64) for tokens in documents]
    nats = [np.zeros(len(tokens)) for tokens in documents]
    cut = chain.from_iterable(
        windows(len(row) - 1, context, stride, number) for number, row in enumerate(rows)
    )
    batches = _batch(cut, batch_tokens)
    done, total = 0, sum(map(len, batches))
    num_workers = usable_cores() if device == "cpu" else 1
    with one_thread_per_pass(), ThreadPoolExecutor(num_workers) as workers:
        scored = workers.map(lambda batch: _score(logits, rows, batch, device), batches)
        for batch, scores in zip(batches, scored, strict=True):
            for window, row_scores in zip(batch, scores, strict=True):
                nats[window.document][window.scored : window.last] = row_scores[
                    window.scored - window.first :
                ]
            done += len(batch)
            if progress:
                progress(done, total)
    return nats


@contextmanager
def one_thread_per_pass() -> Iterator[None]:
    """Torch operations keep to the thread that calls them, here and in threads started meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _batch(cut: Iterable[Window], batch_tokens: int) -> list[list[Window]]:
    """Windows of equal length side by side, the longest first."""
    by_length: dict[int, list[Window]] = defaultdict(list)
    for window in cut:
        by_length[window.last - window.first].append(window)
    batches = []
    for length in sorted(by_length, reverse=True):
        size = max(1, batch_tokens // length)
        same = by_length[length]
        batches += [same[begin : begin + size] for begin in range(0, len(same), size)]
    return batches


def _score(
    logits: Logits, rows: list[NDArray[np.int64]], batch: list[Window], device: str
) -> NDArray[np.float64]:
    """Nats of each target in windows of equal length, (B, T)."""
    tokens = np.stack([rows[window.document][window.first : window.last + 1] for window in batch])
    on_device = torch.from_numpy(tokens).to(device)
    inputs, targets = on_device[:, :-1], on_device[:, 1:]  # (B, T) each
    with torch.no_grad():
        scores = logits(inputs).flatten(0, 1)  # (B * T, V)
        pieces = zip(torch.split(scores, ROWS), torch.split(targets.flatten(), ROWS), strict=True)
        nats = [
            torch.nn.functional.cross_entropy(some.float(), wanted, reduction="none")
            for some, wanted in pieces
        ]
    return torch.cat(nats).view(targets.shape).double().cpu().numpy()
