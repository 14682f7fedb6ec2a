"""Places of n-grams beside a search without any trick."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.batching import ngram_search
from lmcore.batching.ngram_search import NgramSearch, hash_ngrams

TOKENS = st.lists(st.integers(0, 4), max_size=60)


def plainly(files: list[list[int]], wanted: list[list[int]], n: int) -> list[int]:
    row = [token for file in files for token in file]
    asked = {tuple(each) for each in wanted}
    return [place for place in range(len(row) - n + 1) if tuple(row[place : place + n]) in asked]


@given(st.lists(TOKENS, max_size=4), st.data(), st.integers(1, 5), st.sampled_from([2, 3, 7, 100]))
def test_every_place_is_found_wherever_files_and_blocks_are_cut(files, data, n: int, block: int):
    wanted = data.draw(st.lists(st.lists(st.integers(0, 4), min_size=n, max_size=n), min_size=1, max_size=5))
    hashes = np.concatenate([hash_ngrams(np.array(each, np.uint16), n) for each in wanted])
    before, ngram_search.BLOCK = ngram_search.BLOCK, block
    try:
        found = list(NgramSearch(hashes, n).find_in_files([np.array(file, "<u2") for file in files]))
    finally:
        ngram_search.BLOCK = before
    places = [place for places, _ in found for place in places.tolist()]
    assert places == plainly(files, wanted, n)  # ids this small have no two n-grams of one hash


@pytest.mark.parametrize("dtype", ["<u2", "<u4"])
def test_the_hash_of_an_ngram_depends_on_it_alone(dtype: str):
    row = np.random.RandomState(0).randint(0, 60_000, 500).astype(dtype)
    hashes = hash_ngrams(row, 6)
    assert len(hashes) == 495
    for place in (0, 17, 494):
        assert hash_ngrams(row[place : place + 6].astype(np.int64), 6).tolist() == [hashes[place]]


def test_a_row_that_is_too_short_has_none():
    assert len(hash_ngrams(np.arange(3), 4)) == 0
    assert list(NgramSearch(hash_ngrams(np.arange(4), 4), 4).find_in_files([np.arange(3, dtype="<u2")])) == []
