from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from prepared import FILTERS, prepare

from lmcore.corpus.catalogue import Products, open_catalogue
from lmcore.corpus.document import Document, Rejected, read, reject, write
from lmcore.corpus.statistics import alarms, describe, in_words, statistics

FolderOf = Callable[..., Path]


@pytest.fixture(params=["corpus", "it's [a] *corpus*?"])
def corpus(request: pytest.FixtureRequest, folder_of: FolderOf) -> Products:
    folder = folder_of(
        request.param, {"a": ["one", "two words", "é " * 4, "x " * 9], "b": ["only one here", ""]}
    )
    rows = list(read(folder / "documents.parquet", Document))
    sides = {"train": rows[:2] + rows[4:5], "validation": rows[2:3], "test": []}
    for side, documents in sides.items():
        write(folder / f"{side}.parquet", Document, documents)
    rejects = [reject(rows[3], "clean", "loop", "x", 1, 0), reject(rows[5], "ingest", "empty", "x")]
    write(folder / "rejected.parquet", Rejected, rejects)
    return Products(folder)


def test_numbers_can_be_counted_by_hand(corpus: Products, tmp_path: Path):
    facts = describe(corpus, tmp_path, [], 0.4)
    counted = {"documents": 4, "characters": 33, "bytes": 37, "words": 10, "sources": 2, "rejected": 2}
    assert facts == counted | {"alarms": 1}
    tables = json.loads((tmp_path / "statistics.json").read_text(encoding="utf-8"))
    a_train = {
        "source": "a", "side": "train", "documents": 2, "families": 2, "characters": 12, "bytes": 12,
        "words": 3,
    }  # fmt: skip
    a_validation = a_train | {
        "side": "validation", "documents": 1, "families": 1, "characters": 8, "bytes": 12, "words": 4,
    }  # fmt: skip
    b_train = a_train | {"source": "b", "documents": 1, "families": 1, "characters": 13, "bytes": 13}
    assert tables["sides"] == [a_train, a_validation, b_train]
    assert tables["rejected"] == [
        {"source": "a", "stage": "clean", "rule": "loop", "documents": 1, "characters": 18, "words": 9},
        {"source": "b", "stage": "ingest", "rule": "empty", "documents": 1, "characters": 0, "words": 0},
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
    quantiles = {"least": 1, "p5": 1, "p25": 1, "median": 2, "p75": 4, "p95": 4, "most": 4}
    assert tables["lengths"][0] == {"source": "a", **quantiles}
    assert tables["languages"] == []
    (alarm,) = tables["alarms"]
    assert alarm["sentence"] == "b lost 1 of 2 documents (50%), most by ingest empty (1)"


@pytest.mark.parametrize(("share", "sources"), [(0.5, []), (0.49, ["b"]), (0.25, ["b"]), (0.2, ["a", "b"])])
def test_a_source_that_loses_more_than_the_share_raises_an_alarm(
    corpus: Products, share: float, sources: list[str]
):
    with open_catalogue(corpus) as database:
        found = alarms(statistics(database), share)
    assert [alarm["source"] for alarm in found] == sources
    assert all(alarm["source"] in in_words(alarm) for alarm in found)


def test_the_same_corpus_makes_the_same_bytes(tmp_path: Path):
    texts = {
        f"{n}.txt": f"the letter of Anna, number {n}, that we have " + "and so on " * n for n in range(30)
    }
    products = prepare(tmp_path / "made", {"letters": texts | {"x.txt": "no", "y.txt": texts["3.txt"]}})
    limits = [limit for part in FILTERS for limit in part.limits]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        describe(products, tmp_path / name, limits, 0.5)
    for file in ("statistics.json", "examples.json"):
        first = (tmp_path / "one" / file).read_bytes()
        assert (tmp_path / "two" / file).read_bytes() == first
        assert first.endswith(b"\n")


def test_other_questions_can_be_asked_in_sql(corpus: Products):
    with open_catalogue(corpus) as database:
        rows = database.execute("SELECT id FROM documents WHERE words = 2 ORDER BY id").fetchall()
    assert rows == [("a/file.txt#2",)]
