"""What goes on is decided by limits on what was measured, and each broken rule is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmcore.corpus.clean import NothingLeftError
from lmcore.corpus.document import Decision, read
from lmcore.corpus.filter import filter_documents
from lmcore.corpus.settings import FilterPart

NewFolder = Callable[[str], Path]


@pytest.fixture
def signals(tmp_path: Path) -> Path:
    """A folder that holds measurements and no text at all."""
    folder = tmp_path / "clean"
    folder.mkdir()
    rows = {
        "id": ["s/a#1", "s/a#2", "s/a#3", "s/a#4"],
        "source": ["s"] * 4,
        "length_words": [10.0, 19.0, 20.0, 5000.0],
        "language_code": ["en", "fr", "en", "en"],
        "language_confidence": [0.9, 0.99, 0.65, 0.2],
    }
    pq.write_table(pa.table(rows), folder / "signals.parquet")
    return folder


def part(name: str, **dials: object) -> FilterPart:
    return FilterPart.model_validate({"type": name, **dials})


def decide(signals: Path, out: Path, *filters: FilterPart) -> list[Decision]:
    filter_documents(signals, out, filters)
    return list(read(out / "decisions.parquet", Decision))


def test_every_broken_rule_is_a_row_and_the_first_filter_comes_first(signals: Path, new_folder: NewFolder):
    rows = decide(signals, new_folder("out"), part("language"), part("length", max_words=100))
    assert [(row.id, row.rule, row.value, row.threshold) for row in rows] == [
        ("s/a#1", "length.min_words", 10, 20),
        ("s/a#2", "language.only_code", None, None),
        ("s/a#2", "length.min_words", 19, 20),
        ("s/a#4", "language.min_confidence", 0.2, 0.65),
        ("s/a#4", "length.max_words", 5000, 100),
    ]
    assert [row.reason for row in rows] == [
        "words 10 is below the limit of 20",
        "code is fr, not en",
        "words 19 is below the limit of 20",
        "confidence 0.200 is below the limit of 0.650",
        "words 5000 is above the limit of 100",
    ]
    assert {row.stage for row in rows} == {"filter"}


def test_other_limits_decide_anew_without_any_text(signals: Path, new_folder: NewFolder):
    assert filter_documents(signals, new_folder("a"), [part("length")]) == {"documents": 2, "rejected": 2}
    assert filter_documents(signals, new_folder("b"), [part("length", min_words=11)]) == {
        "documents": 3,
        "rejected": 1,
    }
    off = part("length", min_words=None, max_words=None)
    assert filter_documents(signals, new_folder("c"), [off]) == {"documents": 4, "rejected": 0}
    assert filter_documents(signals, new_folder("d"), []) == {"documents": 4, "rejected": 0}


def test_words_of_a_limit_are_no_sql(signals: Path, new_folder: NewFolder):
    rows = decide(signals, new_folder("out"), part("language", only_code=("en", "f'r"), min_confidence=None))
    assert [row.reason for row in rows] == ["code is fr, not en or f'r"]


def test_a_corpus_of_which_nothing_is_left_names_the_rule(signals: Path, new_folder: NewFolder):
    with pytest.raises(
        NothingLeftError, match=r"rejected all 4 documents, 4 by the rule 'length\.min_words'; loosen"
    ):
        filter_documents(signals, new_folder("out"), [part("length", min_words=6000)])


def test_a_limit_on_what_is_not_measured_is_refused(signals: Path, new_folder: NewFolder):
    with pytest.raises(ValueError, match="has the limit min_sentences and measures no 'sentences'"):
        filter_documents(signals, new_folder("out"), [part("c4_quality")])
