from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.corpus import minhash as module
from lmcore.corpus.minhash import MinHash, candidate_pairs, distinct_sizes, is_plausible
from lmcore.corpus.words import Runs, Shingler, mix, stream


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


def runs_of(*sets: np.ndarray) -> Runs:
    return Runs(np.concatenate(sets), np.cumsum([0, *map(len, sets)]))


def test_signatures_do_not_depend_on_order_repeats_or_company(monkeypatch: pytest.MonkeyPatch):
    minhash = MinHash(8, 2, seed=3)
    long, short, one = (Shingler(3).shingles(words_of(range(n))) for n in (500, 20, 1))
    whole = [minhash.signature(each) for each in (long, short, one)]
    assert (minhash.signature(np.concatenate([long[::-1], long])) == whole[0]).all()
    together = minhash.signatures(runs_of(short, long, long[:0], one, long)).bands
    for row, alone in ((0, 1), (1, 0), (3, 2), (4, 0)):
        assert (together[row] == whole[alone].astype(np.uint32)).all()
    monkeypatch.setattr(module, "AT_ONCE", 7)
    assert (minhash.signature(short) == whole[1]).all()
    assert not (MinHash(8, 2, seed=4).signature(long) == whole[0]).any()


@pytest.mark.parametrize("size", [3, 15, 60, 300, 3000, 30_000])
@pytest.mark.parametrize("jaccard", [0.2, 0.5, 0.8])
def test_bands_of_short_and_long_texts_agree_as_the_formula_says(size: int, jaccard: float):
    # 60 pairs of sets; 96 bands of two minima agree in a share J^2 of them, with sets of any size.
    minhash = MinHash(96, 2, seed=1)
    shared = round(size * 2 * jaccard / (1 + jaccard))
    exact = shared / (2 * size - shared)
    pool = mix(np.arange(60 * 2 * size, dtype=np.uint64)).reshape(60, 2 * size)
    left = minhash.signatures(runs_of(*pool[:, :size])).bands
    right = minhash.signatures(runs_of(*pool[:, size - shared : 2 * size - shared])).bands
    shares = (left == right).mean(axis=1)
    # Where the bins are independent a share of 96 has this deviation; in small sets they are less spread.
    deviation = np.sqrt(exact**2 * (1 - exact**2) / 96 / 60)
    assert shares.mean() == pytest.approx(exact**2, abs=5 * deviation + 0.01)


def test_sizes_are_counted_without_repeats():
    numbers = mix(np.arange(20_000, dtype=np.uint64))
    sets = [numbers, numbers[:1000], np.repeat(numbers[:500], 4), numbers[:3], numbers[:1], numbers[:0]]
    sizes = distinct_sizes(runs_of(*sets))
    assert sizes == pytest.approx([20_000, 1000, 500, 3, 1, 0], rel=0.02, abs=0.3)


def test_pairs_that_cannot_be_alike_enough_are_not_worth_a_comparison():
    minhash, numbers = MinHash(96, 2, seed=0), mix(np.arange(2000, dtype=np.uint64))
    marks = minhash.signatures(runs_of(numbers[:1000], numbers[500:1500], numbers[990:1990])).marks
    pairs = np.array([[0, 1], [0, 2], [1, 2]])  # J = 500/1500, 10/1990, 510/1490
    assert is_plausible(marks, pairs, np.full(3, 0.25)).tolist() == [True, False, True]
    assert is_plausible(marks, pairs, np.full(3, 0.005)).tolist() == [True, True, True]


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
