from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.corpus import minhash as module
from lmcore.corpus.minhash import MinHash, candidate_pairs
from lmcore.corpus.words import Shingler, mix, stream


def words_of(numbers: range) -> str:
    return " ".join(f"w{number}" for number in numbers)


def test_the_numbers_are_those_of_splitmix64():
    # The first outputs for seed 1234567 of the reference program by S. Vigna (prng.di.unimi.it/splitmix64.c).
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert stream(1234567, 5).tolist() == expected


def test_mixing_is_one_to_one_on_what_was_tried():
    assert len(np.unique(mix(np.arange(100_000, dtype=np.uint64)))) == 100_000


@given(text=st.text(alphabet="ab cé1.\n", max_size=60), length=st.integers(1, 6))
def test_shingles_are_equal_exactly_where_the_words_are(text: str, length: int):
    tokens = "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()
    runs = (
        [tuple(tokens[at : at + length]) for at in range(max(1, len(tokens) - length + 1))] if tokens else []
    )
    hashes = Shingler(length).shingles(text).tolist()
    assert len(hashes) == len(runs)
    assert len(set(zip(hashes, runs, strict=True))) == len(set(hashes)) == len(set(runs))


def test_shingles_know_the_order_of_words_and_not_their_case():
    shingler = Shingler(2)
    assert shingler.shingle_set("The Cat sat").tolist() == shingler.shingle_set("the cat SAT").tolist()
    assert not set(shingler.shingles("cat the").tolist()) & set(shingler.shingles("the cat").tolist())
    assert not set(Shingler(3).shingles("a a b").tolist()) & set(Shingler(3).shingles("a b a").tolist())


def test_shingles_are_the_same_in_every_process():
    program = (
        "from lmcore.corpus.words import Shingler; print(Shingler(2).shingles('In the beginning').tolist())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert outputs == {f"{Shingler(2).shingles('In the beginning').tolist()}\n"}


def test_signatures_do_not_depend_on_order_or_blocks(monkeypatch: pytest.MonkeyPatch):
    shingles = Shingler(3).shingles(words_of(range(500)))
    minhash = MinHash(8, 2, seed=3)
    whole = minhash.signature(shingles)
    assert (minhash.signature(shingles[::-1].copy()) == whole).all()
    monkeypatch.setattr(module, "BLOCK", 7)
    assert (minhash.signature(shingles) == whole).all()
    assert not (MinHash(8, 2, seed=4).signature(shingles) == whole).any()


def test_bands_agree_as_often_as_the_jaccard_index_says():
    # Two sets of 1000 numbers with 600 in common: J = 600 / 1400. One row a band: a share J of them is equal.
    pool = mix(np.arange(1400, dtype=np.uint64))
    minhash = MinHash(4000, 1, seed=0)
    equal = (minhash.signature(pool[:1000]) == minhash.signature(pool[400:])).mean()
    # Four standard deviations of a share of 4000 draws.
    assert equal == pytest.approx(600 / 1400, abs=4 * np.sqrt(0.25 / 4000))
    two_rows = MinHash(4000, 2, seed=0)
    equal = (two_rows.signature(pool[:1000]) == two_rows.signature(pool[400:])).mean()
    assert equal == pytest.approx((600 / 1400) ** 2, abs=4 * np.sqrt(0.25 / 4000))


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), max_size=12))
@settings(max_examples=200)
def test_pairs_are_proposed_exactly_where_a_band_agrees(rows: list[list[int]]):
    signatures = np.array(rows, np.uint64).reshape(len(rows), 3)
    expected = [
        [left, right]
        for left, right in itertools.combinations(range(len(rows)), 2)
        if any(a == b for a, b in zip(rows[left], rows[right], strict=True))
    ]
    assert candidate_pairs(signatures).tolist() == expected


def test_a_crowd_is_compared_with_its_first_members_and_grows_linearly():
    crowd = candidate_pairs(np.zeros((1000, 4), np.uint64))
    assert len(crowd) < 10 * 1000
    members = {tuple(pair) for pair in crowd.tolist()}
    assert all((0, other) in members for other in range(1, 1000))
    assert all((other - 1, other) in members for other in range(1, 1000))
    assert all(left < right for left, right in members)
