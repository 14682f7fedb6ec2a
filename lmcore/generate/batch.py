"""Greedy answers to many prompts at once, the same as `generate` gives one by one.

Prompts of equal length are read together and go on together, so nothing is padded; a row that has ended is
dropped. Batches are cut the same way for any number of threads, each is computed by one thread, and several
run side by side.

Rounding depends on how many rows share a product. Where two tokens are so nearly equal that this might decide
between them, the row is decoded anew by itself: what comes out does not hang on its neighbours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor

from lmcore.generate.decode import check_prompt, generate
from lmcore.models.transformer import Transformer
from lmcore.nn.kv_cache import KVCache
from lmcore.runtime import usable_cores

Progress = Callable[[int, int], None]

BATCH_ROWS = {"cpu": 32, "cuda": 256}
"""Rows that go on together at most: more fill a GPU, and leave a processor's caches."""
NEARLY_EQUAL = 5e-5
"""Logits this close, as a share of the largest, might change places by rounding (measured: 7e-6)."""


def generate_batch(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int | Sequence[int],
    stop_ids: Collection[int] = (),
    progress: Progress | None = None,
) -> list[list[int]]:
    """The greedy continuation of each prompt, up to a stop token (which is not given back).

    Of equal logits the lowest id, as in `generate`; a text that outgrows the context goes on from its later
    half. `max_new_tokens` is one limit for all, or one a prompt; `progress` is told prompts.

    Raises:
        ValueError: a prompt is empty or holds ids that the model does not know.
    """
    for prompt in prompts:
        check_prompt(prompt, model.vocab_size)
    limits = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else max_new_tokens
    device = model.embedding.weight.device.type
    batches = _cut(prompts, model.config.context_tokens, BATCH_ROWS.get(device, 32))
    stops = frozenset(stop_ids)

    def answer(rows: list[int]) -> list[list[int]]:
        return _Batch(model, [prompts[row] for row in rows], [limits[row] for row in rows], stops).run()

    answers: list[list[int]] = [[] for _ in prompts]
    done = 0
    with _lanes(usable_cores() if device == "cpu" else 1) as lanes:
        for rows, found in zip(batches, lanes.map(answer, batches), strict=True):
            for row, tokens in zip(rows, found, strict=True):
                answers[row] = tokens
            done += len(rows)
            if progress:
                progress(done, len(prompts))
    return answers


@contextmanager
def _lanes(number: int) -> Iterator[ThreadPoolExecutor]:
    """Threads in which torch keeps to the thread that calls it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(number) as workers:
            yield workers
    finally:
        torch.set_num_threads(before)


def _cut(prompts: Sequence[Sequence[int]], context: int, most_rows: int) -> list[list[int]]:
    """Numbers of prompts of equal length, the longest first; those beyond the context are cut to it."""
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for row, prompt in enumerate(prompts):
        by_length[min(len(prompt), context)].append(row)
    return [
        rows[begin : begin + most_rows]
        for _, rows in sorted(by_length.items(), reverse=True)
        for begin in range(0, len(rows), most_rows)
    ]


class _Batch:
    """Rows of equal length that go on together until each has ended."""

    def __init__(
        self,
        model: Transformer,
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        stop_ids: frozenset[int],
    ) -> None:
        self.model = model
        self.prompts = prompts
        self.limits = limits
        self.stop_ids = stop_ids
        self.texts = [list(prompt) for prompt in prompts]
        self.open = [row for row, limit in enumerate(limits) if limit > 0]
        self.alone: list[int] = []

    def run(self) -> list[list[int]]:
        """The new tokens of each row."""
        with torch.inference_mode():
            self._go_on()
        answers = [text[len(prompt) :] for text, prompt in zip(self.texts, self.prompts, strict=True)]
        for row in self.alone:
            answers[row] = list(
                generate(self.model, self.prompts[row], self.limits[row], stop_ids=self.stop_ids)
            )
        return answers

    def _go_on(self) -> None:
        context, device = self.model.config.context_tokens, self.model.embedding.weight.device
        longest = len(self.texts[0]) + max(self.limits)
        cache = self.model.new_cache(len(self.open), min(context, longest))
        unread = [self.texts[row][-context:] for row in self.open]
        while self.open:
            if cache.num_tokens + len(unread[0]) > cache.max_tokens:
                cache.clear()
                unread = [self.texts[row][-(context // 2) :] for row in self.open]
            hidden = self.model.read(torch.tensor(unread, device=device), cache)[:, -1]  # (B, D)
            kept = self._take(self.model.to_logits(hidden))
            if len(kept) < len(self.open):
                self.open = [self.open[place] for place in kept]
                _keep_rows(cache, kept)
            unread = [self.texts[row][-1:] for row in self.open]

    def _take(self, logits: Tensor) -> list[int]:
        """Add each row's likeliest token; which places of the batch are still open."""
        (first, second), ids = (each.unbind(dim=-1) for each in logits.float().topk(2, dim=-1))
        is_near = (first - second <= NEARLY_EQUAL * logits.abs().amax(dim=-1)).tolist()
        kept = []
        for place, (row, token) in enumerate(zip(self.open, ids[0].tolist(), strict=True)):
            if is_near[place]:
                self.alone.append(row)
            elif token not in self.stop_ids:
                self.texts[row].append(token)
                if len(self.texts[row]) < len(self.prompts[row]) + self.limits[row]:
                    kept.append(place)
        return kept


def _keep_rows(cache: KVCache, places: list[int]) -> None:
    """Drop all other rows of the batch; what has been read stays."""
    kept = torch.tensor(places, dtype=torch.long, device=cache.keys.device)
    cache.keys, cache.values = cache.keys[:, kept], cache.values[:, kept]
