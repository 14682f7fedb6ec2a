import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.evaluate.bootstrap import Interval, bootstrap_ratio, paired_difference, unpaired_difference

RANDOM = np.random.RandomState(0)
NATS = RANDOM.gamma(9, 10, size=60)
BYTES = RANDOM.randint(50, 150, size=60)


def test_the_score_is_the_ratio_of_sums_not_the_mean_of_ratios():
    assert bootstrap_ratio(np.array([1.0, 30.0]), np.array([1.0, 10.0])).value == 31 / 11


def test_the_interval_is_as_wide_as_theory_says():
    # With equal denominators the ratio is a mean, whose interval is +-1.96 standard errors.
    sample = np.random.RandomState(1).normal(5, 2, size=400)
    interval = bootstrap_ratio(sample, np.ones(400), num_resamples=5000)
    expected = 1.96 * sample.std() / math.sqrt(400)
    assert interval.high - interval.value == pytest.approx(expected, rel=0.06)
    assert interval.value - interval.low == pytest.approx(expected, rel=0.06)


def test_ninety_five_of_a_hundred_intervals_hold_the_truth():
    random = np.random.RandomState(2)
    held = 0
    for seed in range(300):
        lengths = random.randint(20, 200, size=80)
        interval = bootstrap_ratio(
            lengths * random.normal(3, 1, size=80), lengths, num_resamples=400, seed=seed
        )
        held += interval.low <= 3 <= interval.high
    assert 0.90 <= held / 300 <= 0.985


@given(st.integers(0, 2**70), st.integers(1, 30))
def test_the_same_seed_gives_the_same_digits_and_bounds_enclose_most_of_it(seed, num_resamples):
    first = bootstrap_ratio(NATS, BYTES, num_resamples=num_resamples, seed=seed)
    assert first == bootstrap_ratio(NATS, BYTES, num_resamples=num_resamples, seed=seed)
    assert first.low <= first.high


def test_drawing_in_pieces_changes_nothing(monkeypatch):
    whole = bootstrap_ratio(NATS, BYTES, num_resamples=100)
    monkeypatch.setattr("lmcore.evaluate.bootstrap.CHUNK", 60 * 7)
    assert bootstrap_ratio(NATS, BYTES, num_resamples=100) == whole


def test_equal_documents_leave_no_doubt():
    assert bootstrap_ratio(np.full(9, 2.0), np.full(9, 4.0)) == Interval(0.5, 0.5, 0.5)


def test_one_document_alone_has_no_interval():
    assert bootstrap_ratio(np.array([3.0]), np.array([2.0])) == Interval(1.5, None, None)
    assert Interval(1.5, None, None).map(lambda number: 2 * number) == Interval(3.0, None, None)


def test_a_model_does_not_differ_from_itself():
    assert paired_difference(NATS, NATS, BYTES) == Interval(0, 0, 0)


def test_pairing_takes_away_what_makes_a_document_hard_for_both():
    paired = paired_difference(NATS + 5, NATS, BYTES)
    unpaired = unpaired_difference((NATS + 5, BYTES), (NATS, BYTES))
    assert paired.value == pytest.approx(unpaired.value) == pytest.approx(300 / BYTES.sum())
    assert paired.low > 0
    assert paired.high - paired.low < 0.2 * (unpaired.high - unpaired.low)


def test_two_samples_of_one_kind_do_not_differ_for_certain():
    interval = unpaired_difference((NATS[:30], BYTES[:30]), (NATS[30:], BYTES[30:]))
    assert interval.low < 0 < interval.high
    assert unpaired_difference((NATS[:1], BYTES[:1]), (NATS, BYTES)).low is None


@pytest.mark.parametrize(
    ("numerators", "denominators", "message"),
    [
        ([], [], "a number per document"),
        ([1.0], [1.0, 2.0], "a number per document"),
        ([1.0, 2.0], [0.0, 0.0], "must sum to more than 0"),
        ([1.0, 2.0], [3.0, -1.0], "must not be negative"),
    ],
)
def test_rows_that_make_no_ratio_are_refused(numerators, denominators, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_ratio(np.array(numerators), np.array(denominators))


def test_a_document_of_no_bytes_does_not_break_the_interval():
    interval = bootstrap_ratio(np.array([1.0, 2.0]), np.array([0.0, 4.0]), num_resamples=100)
    assert np.isfinite([interval.value, interval.low, interval.high]).all()
