from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import Counting

from lmcore.batching.windows import TrainingWindows, ValidationWindows

LENGTHS = st.tuples(st.integers(1, 12), st.integers(1, 200)).map(lambda pair: (pair[0], pair[0] + pair[1]))
SEEDS = st.integers(0, 2**40)


@given(LENGTHS, SEEDS, st.integers(0, 5))
def test_in_an_epoch_every_token_is_a_target_once_but_for_less_than_a_window(lengths, seed, epoch):
    context, num_tokens = lengths
    windows = TrainingWindows(Counting(num_tokens), context, seed)
    targets = Counter(windows.batch(epoch, windows.num_windows)[:, 1:].ravel().tolist())
    assert set(targets.values()) == {1}
    assert num_tokens - len(targets) == num_tokens % context


@given(LENGTHS, SEEDS, st.integers(0, 50), st.integers(1, 9))
def test_a_window_is_a_stretch_of_the_stream_closed_to_a_ring(lengths, seed, step, batch_size):
    context, num_tokens = lengths
    batch = TrainingWindows(Counting(num_tokens), context, seed).batch(step, batch_size)
    assert batch.shape == (batch_size, context + 1)
    assert batch.dtype == np.int64
    assert ((np.diff(batch, axis=1) - 1) % num_tokens == 0).all()


@given(LENGTHS, SEEDS, st.integers(1, 6))
def test_the_order_of_windows_does_not_depend_on_the_batch_size(lengths, seed, batch_size):
    context, num_tokens = lengths
    windows = TrainingWindows(Counting(num_tokens), context, seed)
    together = windows.batch(0, 3 * batch_size)
    apart = [windows.batch(step, batch_size) for step in range(3)]
    assert np.array_equal(together, np.concatenate(apart))


def test_a_resumed_run_sees_the_batches_of_an_uninterrupted_one():
    uninterrupted = TrainingWindows(Counting(1000), 7, seed=5)
    expected = [uninterrupted.batch(step, 16) for step in range(40)]
    resumed = TrainingWindows(Counting(1000), 7, seed=5)
    assert all(np.array_equal(resumed.batch(step, 16), expected[step]) for step in range(25, 40))


def test_epochs_cut_elsewhere_and_go_in_another_order():
    windows = TrainingWindows(Counting(1003), 10, seed=0)
    epochs = [windows.starts(epoch, windows.num_windows) for epoch in range(4)]
    assert len({int(starts[0]) % 10 for starts in epochs}) > 1
    assert len({tuple(np.argsort(starts)) for starts in epochs}) == 4
    assert windows.epoch(2, windows.num_windows) == 2.0


def test_other_seeds_give_other_batches():
    batches = [TrainingWindows(Counting(1000), 10, seed).batch(0, 8).tobytes() for seed in range(10)]
    assert len(set(batches)) == 10


def test_the_batches_of_a_seed_are_the_same_for_ever():
    assert TrainingWindows(Counting(1000), 10, seed=0).starts(0, 5).tolist() == [1, 651, 941, 411, 431]


def test_a_stream_shorter_than_a_window_is_refused():
    with pytest.raises(ValueError, match="10 tokens are fewer than one window of 11: add text"):
        TrainingWindows(Counting(10), 10, seed=0)


@given(st.integers(1, 200), st.integers(1, 30), st.integers(1, 9))
def test_validation_scores_every_token_once_the_first_and_the_last_too(num_tokens, context, batch_size):
    lengths = np.arange(num_tokens) % 5
    windows = ValidationWindows(Counting(num_tokens), context, -1, lengths)
    batches = list(windows.batches(batch_size))
    targets = np.concatenate([batch[:, 1:].ravel() for batch in batches])
    assert np.array_equal(targets, np.arange(num_tokens))
    assert windows.num_targets == num_tokens
    assert windows.num_bytes == lengths.sum()
    assert batches[0][0, 0] == -1  # the end-of-text before the first document
    assert all(np.array_equal(row[1:-1], row[2:] - 1) for batch in batches for row in batch)
    assert all(row[0] == row[1] - 1 for batch in batches for row in batch)
    assert all(1 <= len(batch) <= batch_size for batch in batches)


def test_a_part_of_the_validation_is_spread_evenly():
    windows = ValidationWindows(Counting(1000), 10, -1, np.ones(1000, dtype=np.int64), max_tokens=45)
    assert windows.starts == [0, 250, 500, 750]
    assert windows.num_targets == windows.num_bytes == 40
    assert [batch.shape for batch in windows.batches(3)] == [(3, 11), (1, 11)]


@pytest.mark.parametrize(("max_tokens", "expected"), [(1, 1), (10_000, 100), (None, 100)])
def test_at_least_one_and_at_most_all_windows_are_taken(max_tokens, expected):
    windows = ValidationWindows(Counting(995), 10, -1, np.ones(995, dtype=np.int64), max_tokens)
    assert len(windows.starts) == expected


def test_an_empty_side_cannot_validate():
    with pytest.raises(ValueError, match="the side has no tokens: give it a share"):
        ValidationWindows(Counting(0), 10, -1, np.ones(5, dtype=np.int64))
