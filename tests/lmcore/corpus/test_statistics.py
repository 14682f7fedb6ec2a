from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lmcore.corpus.document import Document, Rejected, read, reject, write
from lmcore.corpus.statistics import connect, describe

FolderOf = Callable[..., Path]


@pytest.fixture(params=["corpus", "it's [a] *corpus*?"])
def corpus(request: pytest.FixtureRequest, folder_of: FolderOf) -> Path:
    folder = folder_of(
        request.param, {"a": ["one", "two words", "é " * 4, "x " * 9], "b": ["only one here", ""]}
    )
    rows = list(read(folder / "documents.parquet", Document))
    sides = {"train": rows[:2] + rows[4:5], "validation": rows[2:3], "test": []}
    for side, documents in sides.items():
        write(folder / f"{side}.parquet", Document, documents)
    rejects = [reject(rows[3], "clean", "loop", "x", 1, 0), reject(rows[5], "ingest", "empty", "x")]
    write(folder / "rejected.parquet", Rejected, rejects)
    return folder


def test_numbers_can_be_counted_by_hand(corpus: Path, tmp_path: Path):
    facts = describe(corpus, tmp_path)
    assert facts == {"documents": 4, "characters": 33, "bytes": 37, "words": 10, "sources": 2, "rejected": 2}
    tables = json.loads((tmp_path / "statistics.json").read_text(encoding="utf-8"))
    a_train = {
        "source": "a",
        "side": "train",
        "documents": 2,
        "families": 2,
        "characters": 12,
        "bytes": 12,
        "words": 3,
    }
    a_validation = a_train | {
        "side": "validation",
        "documents": 1,
        "families": 1,
        "characters": 8,
        "bytes": 12,
        "words": 4,
    }
    b_train = a_train | {"source": "b", "documents": 1, "families": 1, "characters": 13, "bytes": 13}
    assert tables["sides"] == [a_train, a_validation, b_train]
    assert tables["rejected"] == [
        {"source": "a", "stage": "clean", "rule": "loop", "documents": 1, "characters": 18},
        {"source": "b", "stage": "ingest", "rule": "empty", "documents": 1, "characters": 0},
    ]
    assert tables["sources"] == [
        {"source": "a", "kept": 3, "rejected": 1, "rejected_share": 0.25},
        {"source": "b", "kept": 1, "rejected": 1, "rejected_share": 0.5},
    ]
    assert tables["words_per_document"] == [
        {"source": "a", "from_words": 1, "documents": 1},
        {"source": "a", "from_words": 2, "documents": 1},
        {"source": "a", "from_words": 4, "documents": 1},
        {"source": "b", "from_words": 2, "documents": 1},
    ]


def test_the_same_corpus_makes_the_same_bytes(corpus: Path, tmp_path: Path):
    describe(corpus, tmp_path)
    first = (tmp_path / "statistics.json").read_bytes()
    describe(corpus, tmp_path)
    assert (tmp_path / "statistics.json").read_bytes() == first
    assert first.endswith(b"\n")


def test_other_questions_can_be_asked_in_sql(corpus: Path):
    with connect(corpus) as database:
        rows = database.execute("SELECT id FROM documents WHERE words = 2 ORDER BY id").fetchall()
    assert rows == [("a/file.txt#2",)]
