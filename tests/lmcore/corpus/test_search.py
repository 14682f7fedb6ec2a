"""BM25 in SQL beside the formula written out in Python."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prepared import prepare

from lmcore.config import SettingsError
from lmcore.corpus.catalogue import Products, open_catalogue, rows
from lmcore.corpus.search import search
from lmcore.corpus.settings import FilterPart

ALL = (FilterPart(type="length", min_words=1),)
TEXTS = {
    "a.txt": "The sea shells that she sells are sea-shells, I am sure of the shells.",
    "b.txt": "Élan, ÉLAN and élan: a naïve café by the sea. Don't!",
    "c.txt": "seas and seashells, the seashore; nothing else is here",
    "d.txt": "One two three four five, the sea and the sea and the SEA again and again",
    "e.txt": "the the the the the the the the the",
    "f.txt": "数据 und Bücher, 12 sea_side",
}
WORDS = [
    "sea",
    "shells",
    "the",
    "ÉLAN",
    "élan",
    "seashells",
    "sea_side",
    "12",
    "数据",
    "Don",
    "t",
    "again",
    "x",
]


def bm25(texts: dict[str, str], asked: str, k1: float = 1.2, b: float = 0.75) -> dict[str, float]:
    """Written from the paper's formula, with Python's own idea of words and lower case."""
    words = {name: Counter(re.findall(r"\w+", text.lower())) for name, text in texts.items()}
    lengths = {name: len(text.split()) for name, text in texts.items()}
    mean = sum(lengths.values()) / len(lengths)
    scores: Counter[str] = Counter()
    for term in set(re.findall(r"\w+", asked.lower())):
        having = [name for name in texts if words[name][term]]
        idf = math.log(1 + (len(texts) - len(having) + 0.5) / (len(having) + 0.5))
        for name in having:
            tf = words[name][term]
            scores[name] += idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * lengths[name] / mean))
    return dict(scores)


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Products:
    return prepare(tmp_path_factory.mktemp("search"), {"notes": TEXTS}, filters=ALL)


@pytest.fixture(scope="module")
def database(products: Products):
    with open_catalogue(products) as opened:
        yield opened


@settings(max_examples=15)
@given(
    st.lists(
        st.sampled_from(WORDS),
        min_size=1,
    )
)
def test_scores_are_those_of_the_formula(database, words: list[str]):
    expected = bm25(TEXTS, " ".join(words))
    hits = search(database, " ".join(words), most=100)
    assert {hit.file: hit.score for hit in hits} == pytest.approx(expected, rel=1e-12)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_part_of_a_word_is_not_found(database):
    assert [hit.file for hit in search(database, "shore")] == []
    assert [hit.file for hit in search(database, "seashore")] == ["c.txt"]


def test_what_was_found_is_marked_where_most_of_it_stands_together(tmp_path: Path):
    text = "sea " + "and the weather " * 60 + "she sells shells by the sea shore " + "and so on " * 50
    products = prepare(tmp_path / "one", {"notes": TEXTS | {"long.txt": text}}, filters=ALL)
    with open_catalogue(products) as database:
        hit = next(hit for hit in search(database, "sells shells sea") if hit.file == "long.txt")
    assert hit.text[hit.offset :].startswith("sells shells by the sea")
    assert {piece for piece, is_word in hit.snippet if is_word} == {"sells", "shells", "sea"}
    assert "".join(piece for piece, _ in hit.snippet).startswith("… ")


def test_only_a_side_is_searched_where_that_is_asked_for(database):
    sides = {row["file"]: row["side"] for row in rows(database, "SELECT file, side FROM documents")}
    for side in set(sides.values()):
        there = {file: text for file, text in TEXTS.items() if sides[file] == side}
        expected = bm25(there, "the sea")
        found = {hit.file: hit.score for hit in search(database, "the sea", side=side)}
        assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("words", ["", "  ", "?!", "'; DROP VIEW texts; --"[:1]])
def test_a_search_for_no_word_is_refused(database, words: str):
    with pytest.raises(SettingsError, match="no word to search for"):
        search(database, words)


def test_a_query_that_looks_like_sql_is_words(database):
    assert search(database, "'); DROP VIEW texts; --") == []
    assert search(database, "sea")
