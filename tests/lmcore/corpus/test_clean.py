from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lmcore.corpus.clean import NothingLeftError, clean_documents
from lmcore.corpus.document import Document, Rejected, digest_of, read
from lmcore.corpus.settings import FilterPart, NormalizeConfig

FolderOf = Callable[..., Path]
NewFolder = Callable[[str], Path]
SHORT = (FilterPart.model_validate({"type": "length", "min_words": 3}),)


def test_documents_are_normalised_before_they_are_judged(folder_of: FolderOf, new_folder: NewFolder):
    raw = folder_of("raw", {"s": ["one  two \r\n three", "one\xa0 two", "\u200b"]})
    out = new_folder("out")
    facts = clean_documents([raw], out, NormalizeConfig(), SHORT)
    (kept,) = read(out / "documents.parquet", Document)
    assert (kept.text, kept.digest) == ("one two\nthree", digest_of("one two\nthree"))
    short, empty = read(out / "rejected.parquet", Rejected)
    assert (short.text, short.stage, short.rule, short.value, short.threshold) == (
        "one two",
        "clean",
        "min_words",
        2,
        3,
    )
    assert short.reason == "min_words is 2, below the limit of 3"
    assert (empty.rule, empty.reason) == ("empty", "no text is left after normalising")
    assert facts == {"documents": 1, "rejected": 2, "characters": 13}


def test_no_document_is_lost_between_kept_and_rejected(folder_of: FolderOf, new_folder: NewFolder):
    raws = [folder_of("a", {"a": ["x"] * 5 + ["x y z"] * 4}), folder_of("b", {"b": ["p q r s", "p"]})]
    out = new_folder("out")
    clean_documents(raws, out, NormalizeConfig(), SHORT)
    kept = [row.id for row in read(out / "documents.parquet", Document)]
    rejected = [row.id for row in read(out / "rejected.parquet", Rejected)]
    given = [row.id for raw in raws for row in read(raw / "documents.parquet", Document)]
    assert sorted(kept + rejected) == sorted(given)


def test_the_first_filter_that_objects_gives_the_reason(folder_of: FolderOf, new_folder: NewFolder):
    loop = FilterPart(type="repetition")
    text = "again\nagain\nagain"
    for number, (order, rule) in enumerate(
        [((*SHORT, loop), "duplicate_lines_share"), ((loop, *SHORT), "duplicate_lines_share")]
    ):
        raw = folder_of(f"raw{number}", {"s": [text, "a b c d"]})
        out = new_folder(f"out{number}")
        clean_documents([raw], out, NormalizeConfig(), order)
        assert [row.rule for row in read(out / "rejected.parquet", Rejected)] == [rule]
    many = FilterPart.model_validate({"type": "length", "min_words": 4})
    out = new_folder("third")
    clean_documents([folder_of("raw", {"s": [text, "a b c d"]})], out, NormalizeConfig(), (many, loop))
    assert [row.rule for row in read(out / "rejected.parquet", Rejected)] == ["min_words"]


def test_cleaning_what_is_clean_gives_the_same_bytes(folder_of: FolderOf, new_folder: NewFolder):
    raw = folder_of("raw", {"s": ["a  b\tc", "d\r\n\r\n\r\ne f", "cafe\u0301 au lait", "x"]})
    once, twice = new_folder("once"), new_folder("twice")
    clean_documents([raw], once, NormalizeConfig(), SHORT)
    clean_documents([once], twice, NormalizeConfig(), SHORT)
    assert (once / "documents.parquet").read_bytes() == (twice / "documents.parquet").read_bytes()
    assert list(read(twice / "rejected.parquet", Rejected)) == []


def test_a_corpus_of_which_nothing_is_left_names_the_filter(folder_of: FolderOf, new_folder: NewFolder):
    with pytest.raises(NothingLeftError, match="rejected all 3 documents, 2 by the rule 'min_words'; loosen"):
        clean_documents(
            [folder_of("raw", {"s": ["x", "y", "\n"]})], new_folder("out"), NormalizeConfig(), SHORT
        )
    with pytest.raises(NothingLeftError, match="no document to clean; choose a source that has some"):
        clean_documents([], new_folder("out2"), NormalizeConfig(), SHORT)


def test_a_source_that_is_chosen_twice_is_refused(folder_of: FolderOf, new_folder: NewFolder):
    raw = folder_of("raw", {"s": ["a b c"]})
    with pytest.raises(ValueError, match=r"document 's/file\.txt#1' came twice; choose each source once"):
        clean_documents([raw, raw], new_folder("out"), NormalizeConfig(), SHORT)


def test_progress_counts_folders(folder_of: FolderOf, new_folder: NewFolder):
    seen: list[tuple[int, int]] = []
    raw = folder_of("raw", {"s": ["a b c"]})
    clean_documents([raw], new_folder("out"), NormalizeConfig(), (), lambda *at: seen.append(at))
    assert seen == [(1, 1)]
