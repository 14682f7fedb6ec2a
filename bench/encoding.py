"""Documents to an array of ids, and to token shards, against a bare `encode_batch_fast` of the same texts.

    python bench/encoding.py CORPUS TOKENIZER     folders such as data/corpora/demo and data/tokenizers/demo

One process, all in turn; ids are compared, and each line is the median of the ratios of its rounds: bare time
over ours, so that above 1 is faster. `bare` ends in Python objects, ours in an array, a text's end behind
each text. Cold is an encoder that has seen nothing yet. Where gigatoken is installed it is measured too, and
asked for the ids of made-up texts: how many come out otherwise is said.
"""

from __future__ import annotations

import importlib.util
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def compare_with_gigatoken(texts: list[str], folder: Path, megabytes: float, bare: Any) -> None:
    from gigatoken import Tokenizer as Gigatoken

    document = json.loads((folder / "tokenizer.json").read_text())
    fast = Gigatoken.from_json(json.dumps(document | {"added_tokens": []}))  # else texts spell control tokens
    fuzzed = make_texts()

    def ids_of(many: list[str]) -> list[list[int]]:
        return [each.ids for each in bare.encode_batch_fast(many, add_special_tokens=False)]

    for times in ("cold", "warm"):
        _, used, _ = measure(lambda: fast.encode_batch(texts))
        print(f"gigatoken, {times}: {megabytes / used:.1f} MB per processor second")
    for what, many in (("documents", texts), ("made-up texts", fuzzed)):
        pairs = zip(ids_of(many), fast.encode_batch_list(many), strict=True)
        print(f"gigatoken: other ids for {sum(a != b for a, b in pairs)} of {len(many)} {what}")


def make_texts() -> list[str]:
    """Short texts of any assigned or unassigned characters between plain ones."""
    draw = random.Random(0)
    codes = [*range(0xD800), *range(0xE000, 0x110000)]
    plain = [*"ab 's\n\t1.", "'ll", "  ", "<|endoftext|>"]
    return [
        "".join(chr(draw.choice(codes)) if draw.random() < 0.2 else draw.choice(plain) for _ in range(20))
        for _ in range(20_000)
    ]


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
    if importlib.util.find_spec("gigatoken"):
        compare_with_gigatoken(texts, folder, megabytes, bare)
    for name, rounds in ratios.items():
        by_clock, by_processor, speed = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:10} {by_clock:5.2f}x on the clock, {by_processor:5.2f}x per processor, "
              f"{speed:5.1f} MB per processor second")  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
