from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.corpus import document as module
from lmcore.corpus.document import (
    Document,
    Duplicate,
    Rejected,
    digest_of,
    read,
    reading_order,
    reject,
    write,
)

SAMPLE = Document("s/f.txt#1", "s", "f.txt", 3, "Title", "some text", digest_of("some text"))
anything = st.text(alphabet=st.characters(exclude_categories=["Cs"]))


def test_the_digest_is_sha256_of_the_text_as_utf8():
    # From the standard itself: FIPS 180-2, appendix B.1.
    assert digest_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest_of("é") != digest_of("e\u0301")


@given(texts=st.lists(anything, max_size=5))
@settings(max_examples=30)
def test_what_is_written_is_read_again(tmp_path: Path, texts: list[str]):
    rows = [dataclasses.replace(SAMPLE, line=line).with_text(text) for line, text in enumerate(texts)]
    assert write(tmp_path / "rows.parquet", Document, rows) == len(rows)
    assert list(read(tmp_path / "rows.parquet", Document)) == rows


def test_a_rejection_keeps_its_document_and_may_have_no_number(tmp_path: Path):
    rows = [
        reject(SAMPLE, "clean", "min_words", "too short", 2, 20),
        reject(SAMPLE, "ingest", "empty", "no text"),
    ]
    write(tmp_path / "rows.parquet", Rejected, rows)
    first, second = read(tmp_path / "rows.parquet", Rejected)
    assert (first.id, first.text, first.line, first.value, first.threshold) == (
        "s/f.txt#1",
        "some text",
        3,
        2.0,
        20.0,
    )
    assert (second.value, second.threshold, second.reason) == (None, None, "no text")


def test_rows_are_cut_into_groups_of_a_fixed_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ROWS_IN_GROUP", 4)
    monkeypatch.setattr(module, "CHARACTERS_IN_GROUP", 100)
    rows = [SAMPLE] * 6 + [SAMPLE.with_text("long " * 30), SAMPLE]
    write(tmp_path / "rows.parquet", Document, rows)
    groups = pq.ParquetFile(tmp_path / "rows.parquet").metadata
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [4, 3, 1]
    assert list(read(tmp_path / "rows.parquet", Document)) == rows


def test_the_same_rows_make_the_same_bytes_however_they_arrive(tmp_path: Path):
    rows = [SAMPLE.with_text(f"text {number}") for number in range(50)]
    write(tmp_path / "list.parquet", Document, rows)
    write(tmp_path / "iterator.parquet", Document, iter(rows))
    assert (tmp_path / "list.parquet").read_bytes() == (tmp_path / "iterator.parquet").read_bytes()


def test_columns_that_are_not_asked_for_are_empty(tmp_path: Path):
    write(tmp_path / "rows.parquet", Document, [SAMPLE])
    (row,) = read(tmp_path / "rows.parquet", Document, ["id", "digest"])
    assert (row.id, row.digest, row.text, row.line) == (SAMPLE.id, SAMPLE.digest, "", 0)


def test_a_file_of_another_kind_is_refused_in_one_line(tmp_path: Path):
    write(tmp_path / "documents.parquet", Document, [SAMPLE])
    with pytest.raises(
        ValueError, match=r"no column containment.*; expected a Parquet file .* Duplicate"
    ) as error:
        list(read(tmp_path / "documents.parquet", Duplicate))
    assert "\n" not in str(error.value)
    for content in (b"", b"PAR1 no, it is not PAR1", b"short"):
        (tmp_path / "torn.parquet").write_bytes(content)
        with pytest.raises(ValueError, match=r"torn\.parquet: .*expected a Parquet file") as error:
            list(read(tmp_path / "torn.parquet", Document))
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"missing\.parquet"):
        list(read(tmp_path / "missing.parquet", Document))


def test_reading_order_is_by_source_then_file_then_line():
    rows = [
        dataclasses.replace(SAMPLE, source=s, file=f, line=n)
        for s, f, n in [("b", "a", 1), ("a", "b", 10), ("a", "b", 9)]
    ]
    assert [(row.source, row.line) for row in sorted(rows, key=reading_order)] == [
        ("a", 9),
        ("a", 10),
        ("b", 1),
    ]


def test_nothing_is_called_a_file_when_writing_fails(tmp_path: Path):
    def rows():
        yield SAMPLE
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        write(tmp_path / "rows.parquet", Document, rows())
