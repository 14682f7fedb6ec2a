"""Damage is put aside with file, place and reason; it is never dropped in silence, and never stops a run."""

from __future__ import annotations

import gzip
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmcore.corpus.document import Document, Rejected, read
from lmcore.corpus.ingest import read_source
from lmcore.corpus.settings import Source
from lmcore.corpus.sources import find_files

NewFolder = Callable[[str], Path]


def ingest(folder: Path, out: Path, **given: object) -> tuple[list[Document], list[Rejected], list[str]]:
    """Documents, rejections, and what was said."""
    source = Source.model_validate({"title": "T", "origin": "O", "licence": "L", **given})
    said: list[str] = []
    facts = read_source(source, "s", find_files(source, folder), folder, out, say=said.append)
    documents = list(read(out / "documents.parquet", Document))
    rejected = list(read(out / "rejected.parquet", Rejected))
    assert (facts["documents"], facts["rejected"]) == (len(documents), len(rejected))
    return documents, rejected, said


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_planted_faults_are_all_found(tmp_path: Path, new_folder: NewFolder):
    lines = b"".join(json.dumps({"text": f"row {n}"}).encode() + b"\n" for n in range(3))
    packed = gzip.compress(b"".join(b'{"text": "packed %d"}\n' % n for n in range(9_999)), mtime=0)
    folder = fill(
        tmp_path / "pile",
        {
            "a/rows.jsonl": lines,
            "b/rows.jsonl": lines.replace(b"row", b"other"),
            "broken.jsonl": b'{"text": "good"}\n{"text": "caf\xe9"}\n{"text": "good again"}\n',
            "empty.jsonl": b"",
            "fields.jsonl": b'{"body": "x"}\n{"body": "y"}\n',
            "long.jsonl": b'{"text": "before"}\n{"text": "' + b"x" * 9_000 + b'"}\n{"text": "behind"}\n',
            "torn.jsonl.gz": packed[: len(packed) // 2],
            "none.jsonl.gz": b"no archive at all",
        },
    )
    documents, rejected, said = ingest(folder, new_folder("out"), reader="jsonl", max_document_bytes=5_000)
    texts = [document.text for document in documents if document.file != "torn.jsonl.gz"]
    assert texts == [
        "row 0", "row 1", "row 2", "other 0", "other 1", "other 2", "good", "good again", "before", "behind"
    ]  # fmt: skip
    torn = [document.text for document in documents if document.file == "torn.jsonl.gz"]
    assert torn == [f"packed {n}" for n in range(len(torn))]
    assert len(torn) > 100
    assert [(row.id, row.line, row.rule, row.offset) for row in rejected] == [
        ("s/broken.jsonl#2", 2, "not_utf8", 30),
        ("s/empty.jsonl#1", 1, "empty_file", 0),
        ("s/fields.jsonl#1", 1, "missing_field", 0),
        ("s/fields.jsonl#2", 2, "missing_field", 14),
        ("s/long.jsonl#2", 2, "too_long", 19),
        ("s/none.jsonl.gz#1", 1, "damaged_archive", 0),
        (f"s/torn.jsonl.gz#{len(torn) + 1}", 1, "damaged_archive", sum(len(t) + 13 for t in torn)),
    ]
    assert all(len(row.text) <= 2_000 and row.stage == "ingest" and row.reason for row in rejected)
    assert str(tmp_path) not in "".join(row.reason for row in rejected)
    assert said == [
        "7 records could not be read, 3 of them whole files: 2 damaged_archive, 1 empty_file, "
        "2 missing_field, 1 not_utf8, 1 too_long (see rejected.parquet)"
    ]


def test_a_parquet_file_with_the_wrong_schema_is_put_aside(tmp_path: Path, new_folder: NewFolder):
    folder = fill(tmp_path / "pile", {"torn.parquet": b"PAR1 and no more", "empty.parquet": b""})
    pq.write_table(pa.table({"text": ["one", "two"]}), folder / "good.parquet")
    pq.write_table(pa.table({"body": ["x"]}), folder / "other.parquet")
    pq.write_table(pa.table({"text": [1, 2]}), folder / "numbers.parquet")
    documents, rejected, _ = ingest(folder, new_folder("out"), reader="parquet")
    assert [document.text for document in documents] == ["one", "two"]
    assert [(row.file, row.rule) for row in rejected] == [
        ("empty.parquet", "empty_file"),
        ("numbers.parquet", "unreadable_record"),
        ("numbers.parquet", "unreadable_record"),
        ("other.parquet", "missing_field"),
        ("torn.parquet", "unreadable_file"),
    ]


def test_a_chapter_with_a_bad_byte_is_put_aside_alone(tmp_path: Path, new_folder: NewFolder):
    folder = fill(
        tmp_path / "pile", {"book.txt": b"CH 1\none\nCH 2\ncaf\xe9\nCH 3\nthree", "picture.txt": b"\x89PNG"}
    )
    reader = {"type": "text", "heading": r"CH \d"}
    documents, rejected, _ = ingest(folder, new_folder("out"), reader=reader)
    assert [document.title for document in documents] == ["CH 1", "CH 3"]
    assert [(row.title, row.line, row.offset, row.rule) for row in rejected] == [
        ("CH 2", 3, 17, "not_utf8"), ("", 1, 0, "no_heading")
    ]  # fmt: skip


def test_a_whole_text_that_is_torn_or_undecodable_is_put_aside(tmp_path: Path, new_folder: NewFolder):
    files = {
        "cut.txt.gz": gzip.compress(b"a long story " * 9_999, mtime=0)[:-40],
        "fine.txt": b"fine",
        "latin.txt": b"caf\xe9 au lait",
        "zero.txt": b"words\0",
    }
    documents, rejected, _ = ingest(fill(tmp_path / "pile", files), new_folder("out"))
    assert [document.text for document in documents] == ["fine"]
    assert [(row.file, row.rule, row.offset) for row in rejected][1:] == [
        ("latin.txt", "not_utf8", 3), ("zero.txt", "not_utf8", 5)
    ]  # fmt: skip
    assert (rejected[0].file, rejected[0].rule) == ("cut.txt.gz", "damaged_archive")
    assert rejected[0].text.startswith("a long story a long")


@pytest.mark.parametrize("name", ["long.jsonl", "long.csv"])
def test_a_line_of_200_megabytes_needs_no_memory_of_that_size(tmp_path: Path, name: str):
    pile, out = tmp_path / "pile", tmp_path / "out"
    pile.mkdir()
    out.mkdir()
    with (pile / name).open("wb") as stream:
        stream.write(b'text\n{"text": "before"}\n' if "csv" in name else b'{"text": "before"}\n')
        for _ in range(200):
            stream.write(b"x" * 1_000_000)
        stream.write(b'\n{"text": "behind"}\n')
    reader = name.split(".")[1]
    (pile / f"small.{reader}").write_text('text\n{"text": "small"}\n')
    program = (
        "import sys; from pathlib import Path\n"
        "from lmcore.corpus.ingest import read_source\n"
        "from lmcore.corpus.settings import Source\n"
        "pile, out, reader, *files = sys.argv[1:]\n"
        "source = Source(title='T', origin='O', licence='L', reader=reader)\n"
        "read_source(source, 's', [Path(file) for file in files], Path(pile), Path(out))\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    given = [str(pile), str(out), reader, *(path.name for path in pile.iterdir())]
    limit = 4 << 30  # of addresses, which pyarrow reserves plenty of
    done = subprocess.run(
        [sys.executable, "-c", program, *given],
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    long = [row for row in read(out / "rejected.parquet", Rejected) if row.rule == "too_long"]
    assert [(row.file, len(row.text)) for row in long] == [(name, 2_000)]
    assert len(list(read(out / "documents.parquet", Document))) == 3
    assert int(done.stdout) * 1024 < 400_000_000  # its own peak, not that of the process it came from
