"""A pile of files is looked at before anybody describes it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmcore.config import SettingsError
from lmcore.corpus.guessing import Guess, guess_source, kind_of, look
from lmcore.corpus.settings import Source
from lmcore.corpus.sources import find_files


def files_of(root: Path) -> list[Path]:
    return find_files(Source(title="T", origin="O", licence="L"), root)


def guess(root: Path) -> Guess:
    return guess_source(root, files_of(root))


RECORDS = [
    {"id": f"{number:040}", "headline": f"News {number}", "story": "words and more words " * 9, "n": number}
    for number in range(20)
]


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "tsv", "parquet"])
def test_the_longest_strings_are_the_text_and_a_usual_name_is_the_title(tmp_path: Path, kind: str):
    file = tmp_path / f"news.{kind}"
    match kind:
        case "parquet":
            pq.write_table(pa.Table.from_pylist(RECORDS), file)
        case "csv" | "tsv":
            mark = "," if kind == "csv" else "\t"
            rows = [list(RECORDS[0]), *(map(str, record.values()) for record in RECORDS)]
            file.write_text("\n".join(mark.join(row) for row in rows))
        case _:
            content = "\n".join(map(json.dumps, RECORDS)).encode()
            file.write_bytes(gzip.compress(content) if kind.endswith("gz") else content)
    found = guess(tmp_path)
    expected = {"type": kind.split(".")[0], "text_field": "story", "title_field": "headline"}
    if kind == "tsv":
        expected |= {"type": "csv", "delimiter": "\t"}
    assert found.reader == expected
    assert found.files == ()
    seen = look(found, tmp_path, files_of(tmp_path))
    assert (seen.documents, dict(seen.troubles)) == (20, {})
    assert seen.sample[0][1].title == "News 0"


def test_a_usual_name_goes_before_a_longer_field(tmp_path: Path):
    record = {"html": "<p>" + "x" * 150 + "</p>", "text": "y" * 100}
    (tmp_path / "a.jsonl").write_text(json.dumps(record))
    assert guess(tmp_path).reader == {"type": "jsonl", "text_field": "text"}


def test_most_bytes_decide_and_the_rest_is_left_out_by_patterns(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "notes.md").write_text("# Notes\n" + "words " * 100)
    (tmp_path / "MORE.MD").write_text("more words")
    (tmp_path / "picture.png").write_bytes(bytes(9_999))
    (tmp_path / "list.csv").write_text("a,b\n")
    found = guess(tmp_path)
    assert (found.reader, found.files) == ({"type": "markdown"}, ("**/*.MD", "**/*.md"))
    assert found.kinds["png"] == (1, 9_999)
    chosen = find_files(Source(title="T", origin="O", licence="L", files=found.files), tmp_path)
    assert [file.name for file in chosen] == ["MORE.MD", "notes.md"]


def test_what_would_be_put_aside_is_told_with_an_example(tmp_path: Path):
    (tmp_path / "a.txt").write_text("fine")
    (tmp_path / "b.txt").write_bytes(b"caf\xe9")
    (tmp_path / "c.txt").write_bytes(b"")
    seen = look(guess(tmp_path), tmp_path, files_of(tmp_path))
    assert (seen.documents, dict(seen.troubles)) == (1, {"not_utf8": 1, "empty_file": 1})
    assert seen.examples["not_utf8"].startswith("b.txt: byte 0xe9 at offset 3")


def test_a_pile_of_nothing_to_read_is_refused(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(SettingsError, match=r"no file of a kind that a reader is for.*png"):
        guess(tmp_path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.TXT", "txt"), ("a.jsonl.zst", "jsonl"), ("a", ""), ("a.gz", ""), ("b.tar.gz", "tar")],
)
def test_a_kind_is_the_suffix_without_the_packing(name: str, kind: str):
    assert kind_of(Path(name)) == kind


@pytest.mark.parametrize(("mark", "kind"), [(";", "csv"), ("\t", "csv"), ("|", "txt.csv"), (",", "tsv")])
def test_a_table_says_itself_what_stands_between_its_values(tmp_path: Path, mark: str, kind: str):
    rows = [f'{number}{mark}"one, two; three\nfour {number}"{mark}5' for number in range(30)]
    (tmp_path / f"a.{kind}").write_text("\n".join([f"id{mark}review{mark}stars", *rows]))
    found = guess(tmp_path)
    dials = {} if mark == "," else {"delimiter": mark}
    assert found.reader == {"type": "csv", "text_field": "review", **dials}
    assert look(found, tmp_path, files_of(tmp_path)).documents == 30


def test_a_table_without_names_of_columns_is_refused(tmp_path: Path):
    (tmp_path / "a.csv").write_text("".join(f'{n},"many words {n} {"and more " * 20}"\n' for n in range(9)))
    with pytest.raises(SettingsError, match=r"the first row is to hold the names .*'many words 0 and more"):
        guess(tmp_path)


def test_questions_and_answers_are_known_by_their_fields(tmp_path: Path):
    file = tmp_path / "a.jsonl"
    for record, is_so in (
        ({"prompt": "a", "completion": "b"}, True),
        ({"messages": []}, True),
        ({"text": "a"}, False),
    ):
        file.write_text(json.dumps(record))
        assert guess(tmp_path).is_conversations is is_so
