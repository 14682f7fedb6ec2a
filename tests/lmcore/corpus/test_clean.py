from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lmcore.corpus import pieces
from lmcore.corpus.clean import DocumentEdit, NothingLeftError, clean_documents
from lmcore.corpus.document import Document, Rejected, digest_of, read
from lmcore.corpus.settings import CleanerPart, FilterPart, NormalizeConfig

FolderOf = Callable[..., Path]
NewFolder = Callable[[str], Path]
LENGTH = (FilterPart(type="length").measurement,)
FILES = ("documents.parquet", "rejected.parquet", "signals.parquet", "edits.parquet")


def clean(raw: Sequence[Path], out: Path, cleaners: Sequence[CleanerPart] = (), **options):
    return clean_documents(raw, out, NormalizeConfig(), cleaners, LENGTH, **options)


def bytes_of(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


def test_documents_are_normalised_and_measured(folder_of: FolderOf, new_folder: NewFolder):
    raw = folder_of("raw", {"s": ["one  two \r\n three", "caf\u00e9\xa0 two", "\u200b"]})
    out = new_folder("out")
    facts = clean([raw], out)
    first, second = read(out / "documents.parquet", Document)
    assert (first.text, first.digest) == ("one two\nthree", digest_of("one two\nthree"))
    assert pq.read_table(out / "signals.parquet").to_pylist() == [
        {"id": first.id, "source": "s", "characters": 13.0, "bytes": 13.0, "length_words": 3.0},
        {"id": second.id, "source": "s", "characters": 8.0, "bytes": 9.0, "length_words": 2.0},
    ]
    (empty,) = read(out / "rejected.parquet", Rejected)
    assert (empty.stage, empty.rule, empty.reason) == ("clean", "empty", "no text is left after cleaning")
    assert facts == {"documents": 2, "rejected": 1, "edits": 0}


def test_what_cleaners_did_is_kept(folder_of: FolderOf, new_folder: NewFolder):
    raw = folder_of("raw", {"s": ["Menu\nThe end of it.\nFooter", "All of it stays here."]})
    out = new_folder("out")
    assert clean([raw], out, [CleanerPart(type="c4_lines")])["edits"] == 1
    assert [row.text for row in read(out / "documents.parquet", Document)] == [
        "The end of it.",
        "All of it stays here.",
    ]
    (edit,) = read(out / "edits.parquet", DocumentEdit)
    assert edit == DocumentEdit("s/file.txt#1", "c4_lines", "no_terminal_punctuation", 2, 10, "Menu")


def test_no_document_is_lost_between_kept_and_rejected(folder_of: FolderOf, new_folder: NewFolder):
    raws = [folder_of("a", {"a": ["x"] * 5 + ["\n"] * 4}), folder_of("b", {"b": ["p q r s", "\u200b"]})]
    out = new_folder("out")
    clean(raws, out)
    kept = [row.id for row in read(out / "documents.parquet", Document)]
    rejected = [row.id for row in read(out / "rejected.parquet", Rejected)]
    given = [row.id for raw in raws for row in read(raw / "documents.parquet", Document)]
    assert sorted(kept + rejected) == sorted(given)


def test_cleaning_what_is_clean_gives_the_same_bytes(folder_of: FolderOf, new_folder: NewFolder):
    raw = folder_of("raw", {"s": ["a  b\tc", "d\r\n\r\n\r\ne f", "cafe\u0301 au lait", "x", "\x0b"]})
    once, twice = new_folder("once"), new_folder("twice")
    clean([raw], once)
    clean([once], twice)
    assert (once / "documents.parquet").read_bytes() == (twice / "documents.parquet").read_bytes()
    assert list(read(twice / "rejected.parquet", Rejected)) == []


def test_neither_processes_nor_kept_pieces_nor_the_order_of_sources_change_the_bytes(
    folder_of: FolderOf, new_folder: NewFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    texts = [f"document {number} of the many\nand its  end" for number in range(400)]
    raws = [folder_of("a", {"a": texts[:250]}), folder_of("b", {"b": texts[250:]})]
    outs = [new_folder(f"out{number}") for number in range(4)]
    monkeypatch.setattr("lmcore.corpus.chunks.CHUNK_BYTES", 500)
    monkeypatch.setattr(pieces, "SMALL", 0)
    clean(raws, outs[0])
    clean(raws, outs[1], cores=2)
    said: list[str] = []
    for out in outs[2:]:
        clean(raws[::-1], out, pieces=tmp_path / "pieces", say=said.append)
    assert all(bytes_of(out) == bytes_of(outs[0]) for out in outs)
    assert len(said) == 1  # the second time
    assert "are as they were" in said[0]


def test_ten_new_documents_touch_only_their_neighbours(
    folder_of: FolderOf, new_folder: NewFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("lmcore.corpus.chunks.CHUNK_BYTES", 500)
    old = [f"document {number} of the many" for number in range(600)]
    said: list[str] = []
    kept = {"pieces": tmp_path / "pieces", "say": said.append}
    clean([folder_of("a", {"a": old})], new_folder("out"), **kept)
    more = [f"new document {number}" for number in range(10)]
    clean([folder_of("b", {"a": old + more})], new_folder("again"), **kept)
    (line,) = said
    taken, total = map(int, line.replace(" parts", "").split()[:3:2])
    assert total - taken <= 3
    assert total > 20


def test_a_corpus_of_which_nothing_is_left_is_refused(folder_of: FolderOf, new_folder: NewFolder):
    with pytest.raises(NothingLeftError, match="of all 2 documents no text is left"):
        clean([folder_of("raw", {"s": ["\u200b", "\n"]})], new_folder("out"))
    with pytest.raises(NothingLeftError, match="no document to clean; choose a source that has some"):
        clean([], new_folder("out2"))


def test_a_source_that_is_chosen_twice_is_refused(folder_of: FolderOf, new_folder: NewFolder):
    raw = folder_of("raw", {"s": ["a b c"]})
    with pytest.raises(ValueError, match=r"document 's/file\.txt#1' came twice; choose each source once"):
        clean([raw, raw], new_folder("out"))


def test_progress_counts_bytes_of_text(folder_of: FolderOf, new_folder: NewFolder):
    seen: list[tuple[int, int]] = []
    clean([folder_of("raw", {"s": ["a b c"]})], new_folder("out"), progress=lambda *at: seen.append(at))
    assert seen == [(0, 5), (5, 5)]
