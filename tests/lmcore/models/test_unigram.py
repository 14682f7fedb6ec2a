import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.lm import Laplace, Vocabulary

from lmcore.models.unigram import Unigram


def test_it_agrees_with_nltk_laplace():
    words = ["the", "cat", "and", "the", "hat", "and", "the", "bat"]
    reference = Laplace(1, Vocabulary(words))
    reference.fit([[(word,) for word in words]])
    known = ["<UNK>", *sorted(set(words))]
    counts = np.array([words.count(word) for word in known])
    expected = [reference.logscore(word) * math.log(2) for word in known]
    assert Unigram(counts).log_probabilities == pytest.approx(expected)


def test_three_of_four_and_one_added_by_hand():
    model = Unigram(np.array([3, 1, 0]))
    assert np.exp(model.log_probabilities) == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    assert model.nats(np.array([[0, 2]])) == pytest.approx(np.array([[math.log(7 / 4), math.log(7)]]))
    assert model.vocab_size == 3


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=50), st.floats(0.01, 10))
def test_probabilities_sum_to_one(counts, added):
    assert np.exp(Unigram(np.array(counts), added).log_probabilities).sum() == pytest.approx(1)


def test_without_counts_every_token_is_as_likely():
    assert np.exp(Unigram(np.zeros(8, dtype=int)).nats(np.arange(8))) == pytest.approx(8)


def test_a_token_never_seen_is_impossible_when_nothing_is_added():
    assert Unigram(np.array([1, 0]), added=0).nats(np.array([0, 1])).tolist() == [0, math.inf]


@pytest.mark.parametrize("counts", [[], [0, 0], [3, -1], [[1, 2]]])
def test_counts_that_make_no_distribution_are_refused(counts):
    with pytest.raises(ValueError, match="one count per id"):
        Unigram(np.array(counts), added=0)
