from __future__ import annotations

from pathlib import Path

import pytest
from prepared import FILTERS, prepare

from lmcore.corpus.catalogue import Products, open_catalogue
from lmcore.corpus.examples import BINS, WORDS, examples, excerpt

LIMITS = [limit for part in FILTERS for limit in part.limits]
TEXTS = {f"{n:02}.txt": "the letter that we have " + "and so onward " * n for n in range(40)}
SECRET = "call +44 20 7946 0958 or anna.smith@inbox.net"


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Products:
    more = {"short.txt": "no", "mine.txt": SECRET, "copy.txt": TEXTS["07.txt"], "blank.txt": " \n"}
    return prepare(tmp_path_factory.mktemp("examples"), {"letters": TEXTS | more})


@pytest.fixture(scope="module")
def found(products: Products):
    with open_catalogue(products) as database:
        return examples(database, products.documents, LIMITS)


def test_a_histogram_holds_every_document_and_marks_those_beyond_the_limit(found):
    limits = {row["rule"]: row for row in found["limits"]}
    lengths = [len(text.split()) for text in [*TEXTS.values(), "no", SECRET, TEXTS["07.txt"]]]
    row = limits["length.min_words"]
    assert row["documents"] == sum(row["counts"]) == len(lengths)
    assert row["broken"] == sum(length < row["bound"] for length in lengths)
    assert len(row["counts"]) == BINS
    assert sum(row["counts"][: row["below"]]) == row["broken"]
    assert "length.max_words" not in limits  # nobody breaks it


def test_examples_are_of_each_rule_and_say_no_more_than_they_need(found):
    rules = {row["rule"] for row in found["removed"]}
    assert {"length.min_words", "exact_duplicate"} <= rules
    assert all(len(row["text"].split()) <= WORDS + 1 for row in found["removed"])
    assert not any(row["stage"] == "ingest" for row in found["removed"])


def test_personal_data_is_shown_nowhere_also_where_no_cleaner_masked_it(found):
    assert "mine.txt" in str(found)
    assert "anna.smith" not in str(found)
    assert "7946" not in str(found)


def test_what_could_not_be_read_is_told_by_its_place(found):
    (row,) = found["quarantined"]
    assert (row["file"], row["rule"]) == ("blank.txt", "empty")


def test_an_excerpt_of_a_longer_text_is_long_enough_to_be_found_by_whoever_forgets_it():
    from tasks.forgetting.quotes import Quotes

    text = " ".join(f"word{n}" for n in range(100))
    assert Quotes([text]).are_in_text(excerpt(text))


def test_a_pair_is_shown_from_a_little_before_its_first_difference(tmp_path: Path, products: Products):
    from dataclasses import replace

    from lmcore.corpus.document import Duplicate, write

    pair = Duplicate("letters/30.txt#1", "letters/31.txt#1", "", "", 0.9, 1.0, "near")
    write(tmp_path / "duplicates.parquet", Duplicate, [pair])
    with open_catalogue(replace(products, decided=(tmp_path,))) as database:
        (row,) = examples(database, products.documents, LIMITS)["pairs"]
    at = len(TEXTS["30.txt"].split())  # where the shorter one ends
    assert row["from_word"] == at - WORDS // 2
    assert len(row["removed_text"].split()) == WORDS // 2
    assert row["keeper_text"].startswith(row["removed_text"])
