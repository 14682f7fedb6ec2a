"""A small corpus, a tokenizer learned from it and its shards, made once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmcore.batching.settings import ShardsConfig
from lmcore.batching.token_shards import write_shards
from lmcore.tokenizers.settings import TokenizerConfig
from lmcore.tokenizers.training import train_tokenizer

SIDES = ("train", "validation", "test")
SYLLABLES = ("ba", "ké", "lo", "mi", "nu", "ra", "shi", "to", "ve", "zu", "the", "and", "in")
WriteCorpus = Callable[..., Path]


def make_texts(number: int, seed: int) -> list[str]:
    """Sentences of made-up words, some far more frequent than others."""
    random = np.random.RandomState(seed)
    words = ["".join(random.choice(SYLLABLES, size=random.randint(1, 4))) for _ in range(300)]
    shares = 1 / np.arange(1, 301)
    return [
        " ".join(random.choice(words, size=random.randint(20, 90), p=shares / shares.sum())) + ".\n"
        for _ in range(number)
    ]


def write_side(folder: Path, side: str, texts: list[str], sources: list[str] | None = None) -> None:
    """One side of a corpus as a corpus stage writes it."""
    numbers = range(len(texts))
    table = pa.table(
        {
            "id": pa.array([f"{side}/a.txt#{number}" for number in numbers], pa.string()),
            "source": pa.array(sources or ["tales" if n % 2 else "songs" for n in numbers], pa.string()),
            "file": pa.array(["a.txt" for _ in numbers], pa.string()),
            "line": pa.array([10 * number + 1 for number in numbers], pa.int64()),
            "title": pa.array([f"Part {number}" for number in numbers], pa.string()),
            "text": pa.array(texts, pa.string()),
            "digest": pa.array([hashlib.sha256(text.encode()).hexdigest() for text in texts], pa.string()),
        }
    )
    pq.write_table(table, folder / f"{side}.parquet", row_group_size=7)


@pytest.fixture(scope="session")
def write_corpus() -> WriteCorpus:
    """write_corpus(folder, train=[...], validation=[...], test=[...]) makes a corpus folder."""

    def write(folder: Path, **texts: list[str]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for side in SIDES:
            write_side(folder, side, texts.get(side, []))
        return folder

    return write


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory: pytest.TempPathFactory, write_corpus: WriteCorpus) -> Path:
    """40 documents to train on, 6 and 8 on the other sides, from two sources."""
    return write_corpus(
        tmp_path_factory.mktemp("corpus"),
        train=make_texts(40, seed=1),
        validation=make_texts(6, seed=2),
        test=make_texts(8, seed=3),
    )


@pytest.fixture(scope="session")
def small_tokenizer(tmp_path_factory: pytest.TempPathFactory, small_corpus: Path) -> Path:
    """A tokenizer folder of 400 tokens."""
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(small_corpus, folder, TokenizerConfig(vocab_size=400))
    return folder


@pytest.fixture(scope="session")
def small_shards(tmp_path_factory: pytest.TempPathFactory, small_corpus: Path, small_tokenizer: Path) -> Path:
    """The small corpus in tokens, cut into several files."""
    folder = tmp_path_factory.mktemp("shards")
    write_shards(small_corpus, small_tokenizer, folder, ShardsConfig(shard_tokens=1000))
    return folder
