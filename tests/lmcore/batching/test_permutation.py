import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.batching.permutation import BLOCK, EpochOrder, Permutation, stable_hash


@given(st.integers(1, 5000), st.integers(0, 2**63))
def test_every_element_comes_once(length, seed):
    elements = Permutation(length, seed)(np.arange(length))
    assert np.array_equal(np.sort(elements), np.arange(length))


@given(st.integers(1, 2**62), st.integers(0, 2**32))
def test_long_orders_need_no_memory_and_stay_in_range(length, seed):
    positions = np.array([0, length // 2, length - 1])
    elements = Permutation(length, seed)(positions)
    assert len(set(elements.tolist())) == len(set(positions.tolist()))
    assert (elements >= 0).all()
    assert (elements < length).all()


def test_the_order_is_the_same_for_ever():
    assert Permutation(10, "windows", 0, 0)(np.arange(10)).tolist() == [5, 3, 0, 8, 6, 4, 9, 1, 7, 2]
    assert stable_hash("offset", 7, 0) == 9159237259816316560


def test_any_part_of_the_order_can_be_asked_for_alone():
    order = Permutation(1000, 3)
    whole = order(np.arange(1000))
    assert order(np.array([999, 5])).tolist() == [whole[999], whole[5]]


def test_another_key_gives_another_order():
    orders = {
        tuple(Permutation(50, "windows", seed, epoch)(np.arange(50)))
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(orders) == 25


def test_positions_are_spread_evenly_over_the_range():
    # First places of 4000 seeded orders of 16: each value 250 times in the mean; chi-square at 15 degrees
    # of freedom stays below 37.7 in 999 cases of 1000.
    firsts = [int(Permutation(16, seed)(np.array([0]))[0]) for seed in range(4000)]
    counts = np.bincount(firsts, minlength=16)
    assert ((counts - 250) ** 2 / 250).sum() < 37.7


def test_an_empty_order_is_refused():
    with pytest.raises(ValueError, match="a permutation of 0 elements"):
        Permutation(0, 1)


@given(st.integers(1, 50), st.integers(0, 2**40), st.integers(0, 200), st.integers(0, 200))
def test_every_stretch_of_a_run_is_its_epochs_orders_one_after_the_other(length, seed, first, count):
    epochs = [
        Permutation(length, "name", seed, epoch)(np.arange(length)) for epoch in range(400 // length + 1)
    ]
    found = list(EpochOrder(length, "name", seed).stretches(first, count))
    assert np.array_equal(
        [e for _, part in found for e in part], np.concatenate(epochs)[first : first + count]
    )
    assert [epoch for epoch, part in found for _ in part] == [
        n // length for n in range(first, first + count)
    ]


def test_long_epochs_are_put_together_from_blocks():
    length = 2 * BLOCK + 5
    order = Permutation(length, "name", 3, 1)(np.arange(length))
    found = [part for _, part in EpochOrder(length, "name", 3).stretches(length + BLOCK - 2, BLOCK + 9)]
    assert [len(part) for part in found] == [2, BLOCK, 5, 2]
    assert np.array_equal(np.concatenate(found[:3]), order[BLOCK - 2 :])
