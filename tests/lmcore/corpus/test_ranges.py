"""A huge file is read in ranges, and nobody can tell where it was cut."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.corpus import ingest
from lmcore.corpus.document import Document, Rejected, read
from lmcore.corpus.ingest import read_source
from lmcore.corpus.readers import cutters, readers
from lmcore.corpus.settings import Source

on_files = settings(max_examples=20)
texts = st.text(alphabet=st.sampled_from('ab",\n\r;é€ \u2028'), max_size=12)
NAMES = ("documents.parquet", "rejected.parquet")


def product(folder: Path, file: Path, reader: dict[str, object], range_size: int) -> dict[str, bytes]:
    """What comes of a file that is cut into ranges of about so many bytes."""
    source = Source.model_validate({"title": "T", "origin": "O", "licence": "L", "reader": reader})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "RANGE", range_size)
        patch.setattr(ingest, "ALONE", 1)
        folder.mkdir(exist_ok=True)
        read_source(source, "s", [Path(file.name)], file.parent, folder)
    return {name: (folder / name).read_bytes() for name in NAMES}


def num_ranges(file: Path, reader: str, size: int, **dials: object) -> int:
    readers[reader]
    cuts = cutters[reader](file, size, **dials)
    return len(cuts.starts) if cuts else 1


@given(
    rows=st.lists(st.one_of(texts, st.integers(), st.none()), min_size=1, max_size=30),
    blanks=st.booleans(),
    size=st.integers(1, 120),
)
@on_files
def test_jsonl_in_ranges_gives_the_same_documents(tmp_path: Path, rows, blanks: bool, size: int):
    lines = ['{"text": "first"}', *(json.dumps({"text": row}, ensure_ascii=False) for row in rows)]
    file = tmp_path / "rows.jsonl"
    file.write_text(("\n\n" if blanks else "\n").join(lines), encoding="utf-8", newline="")
    with file.open("ab") as stream:
        stream.write(b'\n{"text": "caf\xe9"}\nno JSON')
    assert product(tmp_path / "cut", file, {"type": "jsonl"}, size) == product(
        tmp_path / "whole", file, {"type": "jsonl"}, 1 << 30
    )


@given(rows=st.lists(st.tuples(texts, texts), min_size=1, max_size=30), size=st.integers(1, 120))
@on_files
def test_csv_in_ranges_gives_the_same_documents(tmp_path: Path, rows, size: int):
    file = tmp_path / "rows.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("name", "text"), ("a", "first"), *rows])
    reader = {"type": "csv", "title_field": "name"}
    assert product(tmp_path / "cut", file, reader, size) == product(tmp_path / "whole", file, reader, 1 << 30)
    assert num_ranges(file, "csv", 1) == 1 + len(rows)


@given(content=st.text(alphabet=st.sampled_from('a",\n\r'), max_size=60), size=st.integers(1, 40))
@on_files
def test_csv_that_is_not_regular_gives_the_same_documents_as_well(tmp_path: Path, content: str, size: int):
    file = tmp_path / "rows.csv"
    file.write_text("text\nfirst\n" + content, encoding="utf-8", newline="")
    assert product(tmp_path / "cut", file, {"type": "csv"}, size) == product(
        tmp_path / "whole", file, {"type": "csv"}, 1 << 30
    )


@given(
    lines=st.lists(st.sampled_from(["CH 1", "", "  CH 22  ", "prose", "é\r", "x\ry"]), max_size=40),
    size=st.integers(1, 60),
)
@on_files
def test_text_with_headings_in_ranges_gives_the_same_documents(tmp_path: Path, lines: list[str], size: int):
    file = tmp_path / "book.txt"
    file.write_text("\n".join(["preface", "CH 0", "words", *lines]), encoding="utf-8", newline="")
    reader = {"type": "text", "heading": r"CH \d+"}
    assert product(tmp_path / "cut", file, reader, size) == product(tmp_path / "whole", file, reader, 1 << 30)


def test_parquet_in_ranges_of_row_groups_gives_the_same_documents(tmp_path: Path):
    file = tmp_path / "rows.parquet"
    texts = [f"text {n}" if n % 7 else None for n in range(100)]
    pq.write_table(pa.table({"text": texts}), file, row_group_size=9)
    assert num_ranges(file, "parquet", 1) == 12
    whole = product(tmp_path / "whole", file, {"type": "parquet"}, 1 << 30)
    for size in (1, 150, 400):
        assert product(tmp_path / "cut", file, {"type": "parquet"}, size) == whole
    assert [row.line for row in read(tmp_path / "cut" / NAMES[1], Rejected)] == [*range(1, 101, 7)]


def test_line_numbers_and_ids_of_later_ranges_count_from_the_files_beginning(tmp_path: Path):
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps({"text": f"row {n}"}) + "\n" for n in range(50)))
    product(tmp_path / "cut", file, {"type": "jsonl"}, 60)
    rows = list(read(tmp_path / "cut" / NAMES[0], Document))
    assert [row.line for row in rows] == [*range(1, 101, 2)]
    assert [row.id for row in rows] == [f"s/rows.jsonl#{n}" for n in range(1, 51)]


def test_a_record_longer_than_many_ranges_belongs_to_the_one_it_begins_in(tmp_path: Path):
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps({"text": text}) for text in ("a", "b" * 5_000, "c")))
    assert num_ranges(file, "jsonl", 100) == 2
    assert num_ranges(file, "csv", 100) == 1
    cut = product(tmp_path / "cut", file, {"type": "jsonl"}, 100)
    assert cut == product(tmp_path / "whole", file, {"type": "jsonl"}, 1 << 30)
