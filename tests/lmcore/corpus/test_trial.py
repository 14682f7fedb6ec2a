"""Other limits, beside the stage itself run with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from prepared import FILTERS, prepare

from lmcore.config import SettingsError
from lmcore.corpus.catalogue import Products, open_catalogue
from lmcore.corpus.document import Decision, read
from lmcore.corpus.filter import filter_documents
from lmcore.corpus.trial import try_limits, with_limits

TEXTS = {f"{n}.txt": "the letter that we have " + "and so onward " * n for n in range(12)}


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Products:
    other = {"n.txt": "a note that we have and keep for ever and a day, and another"}
    return prepare(tmp_path_factory.mktemp("trial"), {"letters": TEXTS, "notes": other})


@pytest.mark.parametrize(
    "changes", [["gopher_quality.min_words=20"], ["length.min_words=1", "gopher_quality.min_words=null"], []]
)
def test_the_trial_says_what_the_stage_does_with_these_limits(
    products: Products, tmp_path: Path, changes: list[str]
):
    filters = with_limits(FILTERS, changes)
    with open_catalogue(products) as database:
        trial = try_limits(database, products.documents, filters)
    filter_documents(products.documents, tmp_path, filters)
    now = {row.id for row in read(products.decided[0] / "decisions.parquet", Decision)}
    then = {row.id for row in read(tmp_path / "decisions.parquet", Decision)}
    assert sum(row["rejected_now"] for row in trial.sources) == len(now)
    assert sum(row["rejected_then"] for row in trial.sources) == len(then)
    assert {row["id"] for row in trial.changed if row["is_rejected"]} == then - now
    assert {row["id"] for row in trial.changed if not row["is_rejected"]} == now - then
    assert [row["source"] for row in trial.sources] == ["letters", "notes"]


def test_limits_that_nothing_passes_are_an_answer_and_no_error(products: Products):
    with open_catalogue(products) as database:
        trial = try_limits(database, products.documents, with_limits(FILTERS, ["length.min_words=1000"]))
    assert sum(row["rejected_then"] for row in trial.sources) == 13


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("gopher_quality.min_words", "is no limit; expected one such as"),
        ("min_words=3", "is no limit"),
        ("gopher_qualty.min_words=3", "Did you mean 'gopher_quality'"),
        ("language.only_code=[en]", "filter 'language' has measured nothing"),
        ("gopher_quality.min_word=3", "Did you mean 'min_words'"),
        ("gopher_quality.symbols=x", "has no limit 'symbols'"),
        ("gopher_quality.min_words=many", "gopher_quality.min_words is 'many'"),
    ],
)
def test_what_is_no_limit_is_refused_in_one_line(change: str, told: str):
    with pytest.raises(SettingsError, match=told) as error:
        with_limits(FILTERS, [change])
    assert "\n" not in str(error.value)
