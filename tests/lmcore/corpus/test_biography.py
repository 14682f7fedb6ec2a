"""One document through all stages, and how it is found."""

from __future__ import annotations

import pytest
from prepared import FILTERS, prepare

from lmcore.config import SettingsError
from lmcore.corpus.biography import find_document, life_of, text_of
from lmcore.corpus.catalogue import Products, open_catalogue
from lmcore.corpus.document import digest_of
from lmcore.corpus.filters import Limit
from lmcore.corpus.settings import CleanerPart

LIMITS = [limit for part in FILTERS for limit in part.limits]
LETTER = "Dear Anna, write to {} and say that the garden is well, all of it."
TEXTS = {f"l{n}.txt": LETTER.format(f"anna{n}@inbox.net") for n in range(8)}
TEXTS |= {"copy.txt": TEXTS["l3.txt"], "short.txt": "no more", "blank.txt": " \n "}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory):
    made: Products = prepare(
        tmp_path_factory.mktemp("life"), {"letters": TEXTS}, cleaners=[CleanerPart(type="personal_data")]
    )
    with open_catalogue(made) as opened:
        yield opened


def test_a_document_that_stays_tells_what_was_changed_and_measured(database):
    life = life_of(database, "letters/l1.txt#1", LIMITS)
    assert life.rejected is None
    assert life.document["side"] in ("train", "validation", "test")
    (edit,) = life.edits
    assert (edit["cleaner"], edit["rule"], edit["occurrences"]) == ("personal_data", "email", 1)
    measured = {each.limit.rule: each for each in life.measured if each.limit}
    assert set(measured) == {limit.rule for limit in LIMITS}
    assert measured["length.min_words"].value == 15
    assert not any(each.is_broken for each in life.measured)
    assert life.decisions == life.duplicates == life.family == life.repeats == []


def test_a_copy_tells_what_it_is_a_copy_of_and_who_is_its_family(database):
    removed, kept = ("letters/l3.txt#1", "letters/copy.txt#1")
    life = life_of(database, removed, LIMITS)
    assert life.rejected is not None
    assert life.rejected["rule"] == "exact_duplicate"
    assert [(pair["removed"], pair["keeper"]) for pair in life.duplicates] == [(removed, kept)]
    assert [row["id"] for row in life.family] == [kept]
    other = life_of(database, kept, LIMITS)
    assert other.rejected is None
    assert [row["id"] for row in other.family] == [removed]
    assert other.duplicates == life.duplicates


def test_a_rejected_document_shows_each_limit_that_it_breaks(database):
    life = life_of(database, "letters/short.txt#1", LIMITS)
    broken = [each.limit.rule for each in life.measured if each.limit and each.is_broken]
    assert broken == [decision["rule"] for decision in life.decisions]
    assert life.decisions[0]["is_first"]
    assert life.rejected is not None
    assert life.rejected["rule"] == broken[0] == "length.min_words"


def test_a_document_that_never_came_through_the_reading_has_a_life_too(database):
    life = life_of(database, "letters/blank.txt#1", LIMITS)
    assert life.rejected is not None
    assert life.rejected["stage"] == "ingest"
    assert life.measured == life.decisions == []


def test_only_what_is_admitted_is_not_broken():
    from lmcore.corpus.biography import Measured

    limit = Limit("language.only_code", "language_code", "only", ("en", "fr"))
    assert not Measured("language_code", "fr", limit).is_broken
    assert Measured("language_code", "de", limit).is_broken


@pytest.mark.parametrize(
    ("called", "found"),
    [
        ("letters/l4.txt#1", "letters/l4.txt#1"),
        ("letters/l4", "letters/l4.txt#1"),
        ("SHORT", "letters/short.txt#1"),
        ("hort.t", "letters/short.txt#1"),
        (digest_of("no more")[:8], "letters/short.txt#1"),
        (digest_of("no more").upper(), "letters/short.txt#1"),
    ],
)
def test_a_document_is_found_by_its_id_its_title_its_digest_or_a_part(database, called: str, found: str):
    assert find_document(database, called) == found


def test_what_stands_for_several_is_refused_with_their_names(database):
    with pytest.raises(SettingsError, match=r"stands for several documents: letters/l0.txt#1 .* and others"):
        find_document(database, "letters/l")


def test_a_slip_is_answered_with_what_comes_near(database):
    with pytest.raises(SettingsError, match=r"no document 'leters/shrot.txt#1'.*letters/short.txt#1"):
        find_document(database, "leters/shrot.txt#1")


def test_a_text_is_read_by_its_id(database):
    assert text_of(database, "letters/short.txt#1") == "no more"
    with pytest.raises(SettingsError, match="no document 'x'"):
        text_of(database, "x")
