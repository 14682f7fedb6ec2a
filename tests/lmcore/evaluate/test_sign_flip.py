from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test

from lmcore.evaluate.sign_flip import ADVERSE, documents_to_tell, sign_flip

FEW = st.lists(st.integers(-50, 50), min_size=1, max_size=8)


def exact(values):
    """The share of all changes of sign whose sum is as low."""
    sizes = np.abs(values)
    sums = [np.dot(signs, sizes) for signs in product((-1, 1), repeat=len(values))]
    return float(np.mean([total <= sum(values) + 1e-9 for total in sums]))


def ones(values):
    return np.ones(len(values))


def test_of_three_documents_that_are_lower_only_one_change_of_sign_in_eight_is_as_low():
    assert sign_flip([-1, -2, -3], ones("abc"), adverse=0) == pytest.approx(1 / 8, rel=0.1)


def test_a_document_that_is_higher_makes_room_for_another_change():
    # As low as -4 are -1 -2 -3 = -6 and +1 -2 -3 = -4.
    assert sign_flip([1, -2, -3], ones("abc"), adverse=0) == pytest.approx(2 / 8, rel=0.1)


def test_the_farthest_document_is_thought_of_twice():
    # The mean is -2, and the farthest document lies 1 from it: -3, -1, -2 become -3, -1, -2, +1, +1.
    # As low as -4 are the 8 of 32 changes in which no more than 2 of the sizes 3, 1, 2, 1, 1 are positive.
    assert exact([-3, -1, -2, 1, 1]) == 8 / 32
    assert sign_flip([-3, -1, -2], ones("abc")) == pytest.approx(8 / 32, rel=0.1)


def test_far_is_measured_from_what_all_documents_say_of_one_of_that_size():
    # Each is 0.1 lower a byte, whatever its size: none is far, and none is thought of.
    sizes = np.array([10, 200, 3000])
    assert sign_flip(-0.1 * sizes, sizes) == pytest.approx(1 / 8, rel=0.1)


@pytest.mark.parametrize("values", [[], [0.0], [0.0] * 50])
def test_without_a_difference_nothing_is_shown(values):
    assert sign_flip(values, ones(values)) == 1
    assert documents_to_tell(values, ones(values), 0.05) is None


def test_one_document_is_a_coin():
    assert sign_flip([-5.0], [100.0]) == pytest.approx(0.5, rel=0.1)


def test_the_same_seed_gives_the_same_digits_for_good():
    differences = np.cos(np.arange(40)) - 0.35
    weights = 100 + np.arange(40)
    found = sign_flip(differences, weights, seed=3)
    assert found == sign_flip(differences, weights, seed=3) == 0.020426016723292577
    assert found != sign_flip(differences, weights, seed=4)


def test_a_p_value_is_never_below_one_in_the_draws():
    assert sign_flip(-np.ones(60), np.ones(60), num_draws=999) == 1 / 1000


def test_what_is_not_significant_is_settled_with_few_draws():
    p = sign_flip([1.0, -1.0] * 30, np.ones(60), num_draws=10**9)  # a billion would take an hour
    assert p > 0.5


@given(values=FEW)
@settings(max_examples=40)
def test_it_is_the_share_of_all_changes_of_sign(values):
    p = sign_flip(values, ones(values), adverse=0, num_draws=20_000)
    assert p == pytest.approx(exact(values) if any(values) else 1, abs=0.04)


@given(values=FEW, sizes=st.lists(st.integers(1, 99), min_size=8, max_size=8))
@settings(max_examples=40)
def test_thinking_of_worse_documents_never_makes_a_challenger_look_better(values, sizes):
    weights = sizes[: len(values)]
    plain, thought = (sign_flip(values, weights, adverse=n, num_draws=20_000) for n in (0, ADVERSE))
    assert thought >= plain - 0.04


@given(values=FEW, scale=st.sampled_from([0.001, 2.0, 4096.0]))
@settings(max_examples=40)
def test_the_unit_of_the_differences_changes_nothing(values, scale):
    differences = np.array(values, dtype=np.float64)
    found = [sign_flip(each, ones(values), num_draws=5_000) for each in (differences, differences * scale)]
    assert found[0] == pytest.approx(found[1], abs=1e-3)


@given(values=FEW)
@settings(max_examples=40)
def test_both_directions_are_never_shown_at_once(values):
    differences = np.array(values, dtype=np.float64)
    p = [sign_flip(each, ones(values), num_draws=20_000) for each in (differences, -differences)]
    assert sum(p) > 0.95


@pytest.mark.parametrize("seed", range(3))
def test_scipy_agrees_on_the_plain_test(seed):
    values = np.random.RandomState(seed).standard_gamma(2, size=12) - 2.6
    theirs = permutation_test(
        (values,), np.sum, permutation_type="samples", alternative="less", n_resamples=np.inf
    )
    ours = sign_flip(values, ones(values), adverse=0)
    assert ours == pytest.approx(theirs.pvalue, rel=0.1)


def test_it_rejects_no_more_often_than_it_says_where_a_few_documents_pay_for_all_others():
    # Four of five documents are a little better, one is much worse: no difference in the mean.
    random = np.random.RandomState(0)
    wrong = {0: 0, ADVERSE: 0}
    for _ in range(1000):
        values = np.where(random.uniform(size=40) < 0.2, 4.0, -1.0) * random.uniform(0.5, 1.5, size=40)
        for adverse in wrong:
            wrong[adverse] += sign_flip(values, ones(values), adverse=adverse, num_draws=2_000) <= 0.01
    assert wrong[0] > 30
    assert wrong[ADVERSE] <= 10


def test_documents_of_very_different_sizes_reject_as_often_as_it_says():
    random = np.random.RandomState(1)
    wrong = 0
    for _ in range(1000):
        sizes = random.lognormal(8, 1.2, size=40)
        values = sizes * random.normal(0, 0.01, size=40)
        wrong += sign_flip(values, sizes, adverse=0, num_draws=2_000) <= 0.05
    assert 30 <= wrong <= 70


def test_the_documents_asked_for_are_more_than_the_textbook_says_and_less_than_twice_as_many():
    random = np.random.RandomState(0)
    noise = random.normal(size=400)
    values = (noise - noise.mean()) / noise.std() - 0.1
    textbook = ((1.6449 + 0.8416) / 0.1) ** 2  # ((z(0.95) + z(0.8)) / effect)^2 = 618
    needed = documents_to_tell(values, ones(values), 0.05)
    assert textbook < needed < 2 * textbook
    assert documents_to_tell(values, ones(values), 0.001) > needed


def test_no_number_of_documents_is_named_for_what_is_behind_or_hardly_ahead():
    noise = np.random.RandomState(0).normal(size=50)
    noise -= noise.mean()
    assert documents_to_tell(noise + 0.1, ones(noise), 0.05) is None
    assert documents_to_tell(noise - 1e-6, ones(noise), 0.05) is None
    assert documents_to_tell(noise - 0.1, ones(noise), 0.05) > 50


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(
        ValueError, match=r"a difference and a weight per document, got shapes \(2,\) and \(3"
    ):
        sign_flip([1, 2], [1, 1, 1])
    with pytest.raises(ValueError, match="not finite"):
        sign_flip([1, np.nan], [1, 1])
    with pytest.raises(ValueError, match="not finite"):
        documents_to_tell([1, -np.inf], [1, 1], 0.05)
