from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.corpus.inputs import InputFile, UnreadableFileError, bad_byte
from lmcore.corpus.readers import Draft, readers

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
on_files = settings(max_examples=12)


def drafts_of(file: Path, reader: str, **dials: Any) -> list[Draft]:
    return list(readers[reader](InputFile(file), **dials))


def saved(file: Path, content: bytes) -> Path:
    file.write_bytes(gzip.compress(content, mtime=0) if file.suffix == ".gz" else content)
    return file


# Plain text


def test_a_text_without_headings_is_one_document_named_as_its_file(tmp_path: Path):
    file = saved(tmp_path / "letters.of.old.txt.gz", b"\n\nDear Anne,\n\nall is well.\n")
    assert drafts_of(file, "text") == [Draft(3, "letters.of.old", "Dear Anne,\n\nall is well.")]


def test_each_heading_begins_a_document_and_what_precedes_is_one_too(tmp_path: Path):
    file = saved(
        tmp_path / "book.txt", b"A preface.\n\nCHAPTER I\n\nOne.\n\n  CHAPTER II\nTwo, of CHAPTER I.\n"
    )
    assert drafts_of(file, "text", heading=r"CHAPTER [IVX]+") == [
        Draft(1, "book", "A preface."),
        Draft(3, "CHAPTER I", "CHAPTER I\n\nOne."),
        Draft(7, "CHAPTER II", "  CHAPTER II\nTwo, of CHAPTER I."),
    ]


def test_blank_lines_before_the_first_heading_are_no_document(tmp_path: Path):
    file = saved(tmp_path / "book.txt", b"\n \nCHAPTER I\nOne.")
    assert [(draft.line, draft.title) for draft in drafts_of(file, "text", heading="CHAPTER .*")] == [
        (3, "CHAPTER I")
    ]


def test_wrapped_lines_of_a_paragraph_are_joined_and_indented_lines_stay(tmp_path: Path):
    page = (
        "It was a truth\nuniversally known--\nthe well-\nmeant kind\n--that is all.\n\n"
        "He read:\n\n    My first displays\n      the wealth of kings,\nand smiled.\nVery well.\n"
    )
    (draft,) = drafts_of(saved(tmp_path / "page.txt", page.encode()), "text", is_wrapped=True)
    assert draft.text == (
        "It was a truth universally known--the well-meant kind--that is all.\n\n"
        "He read:\n\n    My first displays\n      the wealth of kings,\nand smiled. Very well."
    )


def test_a_heading_never_joins_the_paragraph_after_a_blank_line(tmp_path: Path):
    file = saved(tmp_path / "book.txt", b"CHAPTER I\n\nOne\ntwo.\n")
    (draft,) = drafts_of(file, "text", heading="CHAPTER I", is_wrapped=True)
    assert draft.text == "CHAPTER I\n\nOne two."


def test_line_ends_of_all_systems_count_as_one_line(tmp_path: Path):
    file = saved(tmp_path / "book.txt", b"\xef\xbb\xbfa\r\nCHAPTER 1\r\nb\rCHAPTER 2\rc")
    assert [(draft.line, draft.title) for draft in drafts_of(file, "text", heading=r"CHAPTER \d")] == [
        (1, "book"),
        (2, "CHAPTER 1"),
        (4, "CHAPTER 2"),
    ]


@given(content=st.binary(max_size=60))
def test_the_first_bad_byte_is_where_the_decoder_or_a_zero_byte_says(content: bytes):
    offset = bad_byte(content)
    if offset is None:
        assert b"\0" not in content
        content.decode("utf-8")
    else:
        assert b"\0" not in content[:offset]
        content[:offset].decode("utf-8")
        if content[offset] != 0:
            with pytest.raises(UnicodeDecodeError):
                content.decode("utf-8")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("latin.txt", b"caf\xe9 au lait", r"latin\.txt: byte 0xe9 at offset 3 is not UTF-8 text; convert"),
        ("picture.txt", b"\x89PNG\r\n", r"byte 0x89 at offset 0"),
        ("program.txt", b"ELF \x00\x01", r"byte 0x00 at offset 4"),
        ("cut.txt", "né".encode()[:-1], r"byte 0xc3 at offset 1"),
        ("packed.txt.gz", b"ok \xff", r"packed\.txt\.gz: byte 0xff at offset 3"),
        ("nothing.txt.gz", b"", r"the file is empty"),
    ],
)
def test_a_file_that_is_no_text_is_refused_with_the_offset(
    tmp_path: Path, name: str, content: bytes, says: str
):
    with pytest.raises(UnreadableFileError, match=says) as error:
        drafts_of(saved(tmp_path / name, content), "text")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("reader", "line"), [("text", b"some text\n"), ("jsonl", b'{"text": "a"}\n'), ("csv", b"text\n")]
)
def test_a_damaged_gzip_is_refused_in_one_line(tmp_path: Path, reader: str, line: bytes):
    whole = gzip.compress(line * 20, mtime=0)
    torn = [b"no gzip at all", *(whole[:end] for end in range(1, len(whole)))]
    # The header's flags, time and name do not count; from the tenth byte on everything is checked.
    flipped = [whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :] for at in range(10, len(whole))]
    for content in torn + flipped:
        file = tmp_path / "text.gz"
        file.write_bytes(content)
        with pytest.raises(UnreadableFileError, match=r"^[^\n]*$"):
            drafts_of(file, reader)
    assert len(drafts_of(saved(file, line * 20), reader)) > 0


def test_a_missing_heading_is_refused_before_any_document(tmp_path: Path):
    file = saved(tmp_path / "book.txt", b"CHAPTER I\n\nOne.")
    with pytest.raises(UnreadableFileError, match=r"no line is a heading like 'Part \.\+'; mend"):
        drafts_of(file, "text", heading="Part .+")


def test_a_missing_file_is_one_line(tmp_path: Path):
    for reader in ("text", "jsonl", "csv", "parquet"):
        with pytest.raises(UnreadableFileError, match=r"nowhere\.txt: ") as error:
            drafts_of(tmp_path / "nowhere.txt", reader)
        assert "\n" not in str(error.value)


# JSON Lines


@given(records=st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
@on_files
def test_jsonl_reads_the_same_texts_as_datasets(tmp_path: Path, records: list[tuple[str, str]]):
    file = tmp_path / "rows.jsonl"
    lines = [json.dumps({"text": text, "name": name, "n": 1}) for text, name in records]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    theirs = datasets.load_dataset(
        "json", data_files=[str(file)], split="train", streaming=True, cache_dir=str(tmp_path / "cache")
    )
    ours = drafts_of(file, "jsonl", title_field="name")
    assert [(draft.text, draft.title) for draft in ours] == [(row["text"], row["name"]) for row in theirs]


def test_jsonl_says_the_line_and_skips_blank_ones(tmp_path: Path):
    file = saved(tmp_path / "rows.jsonl.gz", b'\xef\xbb\xbf\n{"body": "one"}\n\n{"body": "two", "x": 1}')
    assert drafts_of(file, "jsonl", text_field="body") == [Draft(2, "", "one"), Draft(4, "", "two")]


def test_a_bad_record_is_a_problem_of_its_own_and_the_rest_is_read(tmp_path: Path):
    lines = [
        b'{"text": "good"}',
        b'{"text": "caf\xe9"}',
        b'{"text": "cut',
        b'{"text": 5}',
        b'{"other": "x"}',
        b'["text"]',
        rb'{"text": "half \ud83d pair"}',
        b'{"text": "also good"}',
        b"[" * 100_000,
    ]
    drafts = drafts_of(saved(tmp_path / "rows.jsonl", b"\n".join(lines)), "jsonl")
    assert [draft.line for draft in drafts] == list(range(1, 10))
    assert [draft.text for draft in drafts if not draft.problem] == ["good", "also good"]
    says = [draft.problem for draft in drafts]
    assert says[1] == "byte 0xe9 at offset 13 of the line is not UTF-8"
    assert says[2] == "not JSON, from character 13"
    assert says[3] == "field 'text' holds int, expected a string"
    assert says[4].startswith("no field 'text'; found other. Name the right one")
    assert says[5] == "not a JSON object but list"
    assert says[6] == "field 'text' holds half of a surrogate pair"
    assert says[8].startswith("not JSON")
    for draft in drafts:
        draft.text.encode("utf-8")
        assert len(draft.text) <= 2_000
    assert drafts[1].offset == sum(len(line) + 1 for line in lines[:1]) + 13
    assert [draft.rule for draft in drafts[1:6]] == [
        "not_utf8",
        *["unreadable_record"] * 2,
        "missing_field",
        "unreadable_record",
    ]


def test_a_record_without_the_title_field_says_so_and_is_no_problem(tmp_path: Path):
    file = saved(tmp_path / "rows.jsonl", b'{"text": "a"}')
    assert drafts_of(file, "jsonl", title_field="name") == [Draft(1, "", "a", lacks=("name", "text"))]


# CSV


@given(records=st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
@on_files
def test_csv_gives_back_what_the_standard_writer_wrote(tmp_path: Path, records: list[tuple[str, str]]):
    file = tmp_path / "rows.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["name", "text"])
        rows.writerows(records)
    ours = drafts_of(file, "csv", title_field="name")
    assert [(draft.title, draft.text) for draft in ours] == records


def test_csv_reads_the_same_texts_as_datasets_reads_as_strings(tmp_path: Path):
    file = saved(tmp_path / "rows.csv", b'n,text\n1,"a ""quoted"" one\nwith two lines"\n\n2,plain\n')
    features = datasets.Features({"n": datasets.Value("string"), "text": datasets.Value("string")})
    theirs = datasets.load_dataset(
        "csv",
        data_files=[str(file)],
        split="train",
        streaming=True,
        cache_dir=str(tmp_path / "c"),
        features=features,
    )
    assert [draft.text for draft in drafts_of(file, "csv")] == [row["text"] for row in theirs]


def test_csv_says_the_line_on_which_a_row_begins(tmp_path: Path):
    file = saved(
        tmp_path / "rows.csv.gz", b'\xef\xbb\xbftext,n\r\n"one\nand more",1\r\n\r\nNA,2\r\n007,3\r\n'
    )
    assert drafts_of(file, "csv") == [Draft(2, "", "one\nand more"), Draft(5, "", "NA"), Draft(6, "", "007")]


def test_csv_keeps_a_bad_row_to_itself(tmp_path: Path):
    file = saved(tmp_path / "rows.tsv", b"n\ttext\n1\tcaf\xe9\n2\n3\tgood\n")
    bad, short, good = drafts_of(file, "csv", delimiter="\t")
    assert bad.problem == "field 'text' has bytes that are not UTF-8"
    assert bad.text == "caf\ufffd"
    assert short.problem == "the row has 1 values, and none for 'text'"
    assert good == Draft(4, "", "good")


def test_csv_refuses_a_missing_field_and_keeps_broken_quotes_to_their_row(tmp_path: Path):
    with pytest.raises(UnreadableFileError, match=r"no field 'text'; found a, b"):
        drafts_of(saved(tmp_path / "a.csv", b"a,b\n1,2\n"), "csv")
    bad, good = drafts_of(saved(tmp_path / "b.csv", b'text\n"a"b\nc\n'), "csv")
    assert bad.problem.endswith("; expected values between commas or quotes")
    assert (bad.line, bad.offset, bad.text, bad.rule) == (2, 5, '"a"b\n', "unreadable_record")
    assert good == Draft(3, "", "c")


def test_csv_skips_a_row_that_is_too_long_up_to_its_last_quote(tmp_path: Path):
    rows = [("a", "x" * 50 + "\n" + "y" * 50), ("b", "short\nand good"), ("c", "z" * 90)]
    with (tmp_path / "rows.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("title", "text"), *rows])
    drafts = list(readers["csv"](InputFile(tmp_path / "rows.csv", longest=60), title_field="title"))
    assert [(draft.line, draft.rule, draft.text[:5]) for draft in drafts] == [
        (2, "too_long", 'a,"xx'), (4, "", "short"), (6, "too_long", "c,zzz")
    ]  # fmt: skip


def test_a_guessed_encoding_reads_what_is_not_utf8(tmp_path: Path):
    words = "Les élèves étaient fatigués après une journée passée à l'école près de la forêt. " * 20
    table = saved(tmp_path / "rows.csv", f"title,text\né,{words}\n".encode("cp1252"))
    (draft,) = drafts_of(table, "csv", title_field="title", encoding="auto")
    assert (draft.title, draft.text, draft.problem) == ("é", words, "")
    prose = saved(tmp_path / "prose.txt", words.encode("utf-16"))
    (draft,) = drafts_of(prose, "text", encoding="auto")
    assert draft.text == words


# Parquet


def test_parquet_reads_rows_in_order_with_their_numbers(tmp_path: Path):
    table = pa.table({"body": [f"text {n}" for n in range(2_500)], "name": [str(n) for n in range(2_500)]})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=700)
    drafts = drafts_of(tmp_path / "rows.parquet", "parquet", text_field="body", title_field="name")
    assert drafts == [Draft(n + 1, str(n), f"text {n}") for n in range(2_500)]


def test_parquet_keeps_a_bad_row_to_itself(tmp_path: Path):
    values = pa.array([b"good", b"caf\xe9", None, b"also good"], pa.binary())
    text = pa.StringArray.from_buffers(4, *values.buffers()[1:], null_bitmap=values.buffers()[0])
    pq.write_table(pa.table({"text": text}), tmp_path / "rows.parquet")
    drafts = drafts_of(tmp_path / "rows.parquet", "parquet")
    assert [draft.problem for draft in drafts] == [
        "",
        "byte 0xe9 at offset 3 of the text is not UTF-8",
        "field 'text' holds NoneType, expected a string",
        "",
    ]


def test_parquet_refuses_other_files_and_missing_fields(tmp_path: Path):
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / "rows.parquet")
    with pytest.raises(UnreadableFileError, match=r"no field 'text'; found a, b"):
        drafts_of(tmp_path / "rows.parquet", "parquet")
    with pytest.raises(UnreadableFileError, match=r"prose\.parquet: not a Parquet file"):
        drafts_of(saved(tmp_path / "prose.parquet", b"Once upon a time"), "parquet")


def test_parquet_uses_no_network_and_leaves_nothing_in_the_home_folder(tmp_path: Path):
    pq.write_table(pa.table({"text": ["one"]}), tmp_path / "rows.parquet")
    home = tmp_path / "home"
    home.mkdir()
    program = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('the network was used')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from pathlib import Path\n"
        "from lmcore.corpus.inputs import InputFile\n"
        "from lmcore.corpus.readers import readers\n"
        "print([draft.text for draft in readers['parquet'](InputFile(Path(sys.argv[1])))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "rows.parquet")],
        env={"HOME": str(home), "PYTHONPATH": ":".join(sys.path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("['one']\n", "")
    assert sorted(home.rglob("*")) == []


def test_readers_are_found_by_name_and_a_wrong_one_gets_a_hint():
    assert {"csv", "jsonl", "parquet", "text"} <= set(readers.names())
    with pytest.raises(ValueError, match=r"no reader named 'json'\. Did you mean 'jsonl'\?"):
        readers["json"]
