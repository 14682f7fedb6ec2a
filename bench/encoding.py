"""Documents to an array of ids, and to token shards, against a bare `encode_batch_fast` of the same texts.

    python bench/encoding.py CORPUS TOKENIZER     folders such as data/corpora/demo and data/tokenizers/demo

One process, all in turn; ids are compared, and each line is the median of the ratios of its rounds: bare time
over ours, so that above 1 is faster. `bare` ends in Python objects, ours in an array, a text's end behind
each text. Cold is an encoder that has seen nothing yet.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tokenizers

from lmcore.batching.settings import ShardsConfig
from lmcore.batching.token_shards import write_shards
from lmcore.tokenizers.texts import SIDES, read_batches
from lmcore.tokenizers.tokenizer import Tokenizer

ROUNDS = 5


def measure(work: Callable[[], object]) -> tuple[float, float, object]:
    """Seconds on the clock, seconds of processors, and what came out."""
    began, began_processor = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - began, time.process_time() - began_processor, result


def main(corpus: Path, folder: Path) -> None:
    texts = [
        text for side in SIDES for batch in read_batches(corpus, side, ["text"]) for text in batch["text"]
    ]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    bare = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    bare.encode_special_tokens = True
    warm = Tokenizer.load(folder)
    warm.encode_documents(texts)

    def shards() -> None:
        with tempfile.TemporaryDirectory() as out:
            write_shards(corpus, folder, Path(out) / "shards", ShardsConfig())

    ours: dict[str, Callable[[], object]] = {
        "ids, cold": lambda: Tokenizer.load(folder).encode_documents(texts),
        "ids, warm": lambda: warm.encode_documents(texts),
        "shards": shards,
    }
    ratios: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ours}
    for _ in range(ROUNDS):
        clock, processor, encoded = measure(lambda: bare.encode_batch_fast(texts, add_special_tokens=False))
        expected = np.fromiter((n for each in encoded for n in (*each.ids, warm.eos_id)), dtype=np.int64)  # type: ignore[attr-defined]
        for name, work in ours.items():
            seconds, used, result = measure(work)
            ratios[name].append((clock / seconds, processor / used, megabytes / used))
            if result is not None:
                assert np.array_equal(result[0], expected), "the ids differ"  # type: ignore[index]
    for name, rounds in ratios.items():
        by_clock, by_processor, speed = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:10} {by_clock:5.2f}x on the clock, {by_processor:5.2f}x per processor, "
              f"{speed:5.1f} MB per processor second")  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
