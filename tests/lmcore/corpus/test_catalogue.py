"""Views over what the stages left, beside the files themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from prepared import prepare

from lmcore.corpus.catalogue import VIEWS, Products, columns_of, open_catalogue, rows
from lmcore.corpus.document import Decision, Document, Rejected, read, write

SIDES = ("train", "validation", "test")


def letters(number: int) -> dict[str, str]:
    return {
        f"l{n:02}.txt": f"Dear Anna, this is the letter number {n} of all that we have.\n"
        for n in range(number)
    }


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Products:
    folder = tmp_path_factory.mktemp("catalogue") / "it's [a] *folder*?"
    texts = letters(10) | {
        "copy.txt": letters(10)["l03.txt"],
        "short.txt": "no",
        "few.txt": "the only five words here",
    }
    return prepare(
        folder,
        {"letters": texts, "notes": {"n.txt": "a note that we have and keep"}},
    )


def test_each_document_is_there_once_with_its_side_and_its_words_as_python_counts_them(products: Products):
    with open_catalogue(products) as database:
        found = {row["id"]: row for row in rows(database, "FROM documents")}
    expected = {side: list(read(products.corpus / f"{side}.parquet", Document)) for side in SIDES}
    expected["rejected"] = list(read(products.corpus / "rejected.parquet", Rejected))
    assert len(found) == sum(map(len, expected.values())) == 14
    for side, documents in expected.items():
        for document in documents:
            row = found[document.id]
            assert row["side"] == side
            assert row["words"] == len(document.text.split())
            assert (row["characters"], row["bytes"]) == (len(document.text), len(document.text.encode()))
            assert (row["digest"], row["line"]) == (document.digest, document.line)


def test_texts_are_those_of_the_sides_and_of_the_rejected(products: Products):
    with open_catalogue(products) as database:
        texts = dict(database.execute("SELECT id, text FROM texts").fetchall())
    for side in (*SIDES, "rejected"):
        for document in read(
            products.corpus / f"{side}.parquet", Rejected if side == "rejected" else Document
        ):
            assert texts[document.id] == document.text


def test_of_several_broken_rules_the_first_one_counts_as_in_the_corpus(products: Products):
    with open_catalogue(products) as database:
        first = rows(database, "SELECT id, stage, rule FROM decisions WHERE is_first ORDER BY id")
        all_of_them = rows(database, "SELECT count(*) AS number FROM decisions")[0]["number"]
    rejected = read(products.corpus / "rejected.parquet", Rejected)
    assert first == sorted(
        ({"id": r.id, "stage": r.stage, "rule": r.rule} for r in rejected), key=lambda r: r["id"]
    )
    assert all_of_them > len(first)  # "no" breaks more than one


def test_what_was_never_made_is_a_view_without_rows_but_with_its_columns(products: Products):
    with open_catalogue(Products(products.corpus)) as database:
        columns = columns_of(database)
        for view in set(VIEWS) - {"documents", "texts", "rejected"}:
            assert rows(database, f"FROM {view}") == []
    with open_catalogue(products) as database:
        there = columns_of(database)
    assert all(set(columns[view]) <= set(there[view]) for view in VIEWS)
    assert columns["duplicates"] == there["duplicates"]


def test_cuts_and_evidence_of_other_stages_are_seen_without_a_change_here(products: Products, tmp_path: Path):
    extra = tmp_path / "decontaminated"
    extra.mkdir()
    write(
        extra / "decisions.parquet",
        Decision,
        [Decision("letters/l01.txt#1", "decontaminate", "b", 1, 0, "x")],
    )
    with duckdb.connect() as database:
        database.execute(f"COPY (SELECT 'a' AS id, 'mmlu' AS benchmark) TO '{extra}/contamination.parquet'")
        database.execute(
            "COPY (SELECT 'a' AS id, 3 AS begin, 9 AS \"end\", 2 AS words, 'b' AS first_id, 0 AS first_begin)"
            f" TO '{extra}/cuts.parquet'"
        )
    with open_catalogue(replace(products, decided=(*products.decided, extra))) as database:
        assert rows(database, "FROM contamination") == [{"id": "a", "benchmark": "mmlu"}]
        assert rows(database, 'SELECT "begin", "end" FROM repeats') == [{"begin": 3, "end": 9}]
        assert len(rows(database, "FROM decisions WHERE stage = 'decontaminate' AND is_first")) == 1


def test_files_are_those_that_were_read_with_digest_and_licence(products: Products):
    with open_catalogue(products) as database:
        found = rows(database, "FROM files ORDER BY source, file")
    assert [tuple(row.values()) for row in found] == sorted(map(tuple, products.files))


def test_words_are_counted_once_for_a_version_of_a_corpus(products: Products, tmp_path: Path):
    kept = replace(products, kept=tmp_path / "kept")
    with open_catalogue(kept) as database:
        first = rows(database, "FROM documents ORDER BY id")
    (file,) = (tmp_path / "kept").iterdir()
    stamp = file.stat().st_mtime_ns
    with open_catalogue(kept) as database:
        assert rows(database, "FROM documents ORDER BY id") == first
    assert file.stat().st_mtime_ns == stamp
    with open_catalogue(products) as database:
        assert rows(database, "FROM documents ORDER BY id") == first


def test_nothing_is_drawn_into_the_answer_of_a_long_query(products: Products):
    with open_catalogue(products) as database:
        assert rows(database, "SELECT current_setting('enable_progress_bar') AS bar") == [{"bar": False}]
