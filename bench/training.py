"""Learning byte-level BPE against `tokenizers`: speed and memory, and that every merge is the same.

    python bench/training.py TEXTS [VOCAB_SIZE]

TEXTS are JSON lines with `text`, or Parquet as data/corpora/demo/train.parquet. Each side runs in a process
of its own, three times in turn; speed is per processor second of the whole job, from texts to merges, memory
the peak above that of the texts. Where gigatoken is installed, it is measured as well.
"""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lmcore.tokenizers.bpe import train
from lmcore.tokenizers.byte_letters import spell
from lmcore.tokenizers.control import CONTROL_TOKENS
from lmcore.tokenizers.settings import TokenizerConfig

ROUNDS = 3
Merges = list[list[str]]


def read_texts(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        return list(pq.read_table(path, columns=["text"])["text"].to_pylist())
    with path.open() as lines:
        values = map(json.loads, lines)
        return [value["text"] if isinstance(value, dict) else value for value in values]


def ours(texts: list[str], vocab_size: int) -> Merges:
    return list(train(iter(texts), TokenizerConfig(vocab_size=vocab_size))["model"]["merges"])


def tokenizers(texts: list[str], vocab_size: int) -> Merges:
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[AddedToken(name, special=True, normalized=False) for name in CONTROL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer=trainer)
    return list(json.loads(backend.to_str())["model"]["merges"])


def gigatoken(texts: list[str], vocab_size: int) -> Merges:
    from gigatoken import train_bpe

    end = CONTROL_TOKENS[0]
    _, merges = train_bpe(
        end.encode().join(text.encode() for text in texts),
        vocab_size, list(CONTROL_TOKENS), tie_breaking="huggingface", separator=end.encode(),
    )  # fmt: skip
    return [[spell(left), spell(right)] for left, right in merges]


def measure(work: Callable[[list[str], int], Merges], path: Path, vocab_size: int, sent: Any) -> None:
    texts = read_texts(path)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    merges = work(texts, vocab_size)
    used = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    sent.send((sum(len(text.encode()) for text in texts) / 1e6 / used, peak / 1e3, merges))
    sent.close()
    os._exit(0)


def main(path: Path, vocab_size: int) -> None:
    context = multiprocessing.get_context("spawn")
    results: dict[str, list[tuple[float, float, Merges]]] = {}
    works = [tokenizers, ours, *([gigatoken] if importlib.util.find_spec("gigatoken") else [])]
    for _ in range(ROUNDS):
        for work in works:
            received, sent = context.Pipe(duplex=False)
            process = context.Process(target=measure, args=(work, path, vocab_size, sent))
            process.start()
            sent.close()
            results.setdefault(work.__name__, []).append(received.recv())
            process.join()
    expected = results["tokenizers"][0][2]
    theirs = statistics.median(speed for speed, _, _ in results["tokenizers"])
    for name, rounds in results.items():
        speed, peak = (statistics.median(column) for column in list(zip(*rounds, strict=True))[:2])
        equal = "equal" if all(merges == expected for _, _, merges in rounds) else "OTHER"
        print(f"{name:11} {speed:5.2f} MB per processor second, {speed / theirs:5.2f}x, "
              f"{peak:5.0f} MB, {len(expected)} merges {equal}")  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 32_768)
