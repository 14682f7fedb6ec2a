import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import Counting

from lmcore.batching.mixture import MixtureWindows, SourceStream, Turns, shares_of, source_streams
from lmcore.batching.settings import MixtureConfig
from lmcore.batching.token_shards import TokenShards
from lmcore.batching.windows import TrainingWindows

SEEDS = st.integers(0, 2**40)
WEIGHTS = st.floats(1e-3, 1e3)


STREAMS = {"songs": Counting(100), "tales": Counting(1003, 10_000), "psalms": Counting(55, 20_000)}
SHARES = {"tales": 5.0, "songs": 3.0, "psalms": 2.0}


def mixture(seed: int = 0) -> MixtureWindows:
    return MixtureWindows(STREAMS, SHARES, context_tokens=7, seed=seed)


@given(st.lists(WEIGHTS, min_size=1, max_size=6), SEEDS, st.integers(0, 10**9))
def test_over_any_stretch_each_source_has_its_share_to_within_few_windows(weights, seed, begin):
    shares = {str(number): weight for number, weight in enumerate(weights)}
    turns = Turns(shares, seed)
    names = [turns.turn(number)[0] for number in range(begin, begin + 200)]
    most_off = {1: 0, 2: 1, 3: 2}.get(len(shares), 4)
    total = sum(weights)
    for first, length in ((0, 200), (0, 10), (57, 31), (101, 2), (130, 70)):
        found = Counter(names[first : first + length])
        for name, weight in shares.items():
            assert abs(found[name] - length * weight / total) <= most_off + 1e-5


def test_halves_take_turns_and_a_quarter_comes_every_fourth_time():
    halves = Turns({"a": 1, "b": 1}, seed=3)
    assert len({halves.turn(number)[0] for number in range(0, 20, 2)}) == 1
    quarter = Turns({"a": 3, "b": 1}, seed=3)
    places = [number for number in range(40) if quarter.turn(number)[0] == "b"]
    assert set(np.diff(places)) == {4}


@given(st.lists(WEIGHTS, min_size=1, max_size=6), SEEDS)
def test_a_turn_tells_how_many_came_before_it(weights, seed):
    turns = Turns({str(number): weight for number, weight in enumerate(weights)}, seed)
    counts: Counter[str] = Counter()
    for number in range(100):
        assert turns.count(number) == {name: counts[name] for name in turns.count(number)}
        name, before = turns.turn(number)
        assert before == counts[name]
        counts[name] += 1


@given(SEEDS, st.integers(0, 60), st.integers(1, 9))
def test_a_source_s_windows_come_in_the_order_that_they_have_alone(seed, step, batch_size):
    batch = mixture(seed).batch(step, batch_size)
    numbers = range(step * batch_size, (step + 1) * batch_size)
    for row, number in zip(batch, numbers, strict=True):
        name, before = Turns(SHARES, seed).turn(number)
        alone = TrainingWindows(STREAMS[name], 7, seed)
        assert np.array_equal(row, alone.batch(before, 1)[0])


def test_any_step_comes_without_those_before_it_and_whatever_the_batch_size():
    together = mixture().batch(0, 60)
    assert np.array_equal(mixture().batch(4, 10), together[40:50])
    assert np.array_equal(mixture().windows(17, 5), together[17:22])


def test_weights_are_shares_whatever_their_sum_and_order():
    turned = dict(reversed([(name, weight / 10) for name, weight in SHARES.items()]))
    assert np.array_equal(
        MixtureWindows(STREAMS, turned, context_tokens=7, seed=0).batch(0, 50), mixture().batch(0, 50)
    )


def test_a_temperature_makes_shares_of_roots_of_the_numbers_of_tokens():
    streams = {"large": Counting(900), "small": Counting(100)}
    assert shares_of(MixtureConfig(temperature=1), streams) == pytest.approx({"large": 0.9, "small": 0.1})
    assert shares_of(MixtureConfig(temperature=2), streams) == pytest.approx({"large": 0.75, "small": 0.25})
    even = shares_of(MixtureConfig(temperature=1e6), streams)
    assert even == pytest.approx({"large": 0.5, "small": 0.5}, abs=1e-5)


def test_weights_name_their_sources():
    weights = MixtureConfig(weights={"tales": 3, "songs": 1})
    assert shares_of(weights, STREAMS) == {"songs": 0.25, "tales": 0.75}
    with pytest.raises(ValueError, match=r"no source named 'tale'. Did you mean 'tales'"):
        shares_of(MixtureConfig(weights={"tale": 1}), STREAMS)


def test_what_was_drawn_is_told_in_tokens_and_epochs():
    drawn = mixture().drawn(1000)
    assert drawn == {
        "tales": (pytest.approx(500 * 7, abs=14), pytest.approx(500 / 143, abs=0.02)),
        "songs": (pytest.approx(300 * 7, abs=14), pytest.approx(300 / 14, abs=0.2)),
        "psalms": (pytest.approx(200 * 7, abs=14), pytest.approx(200 / 7, abs=0.3)),
    }
    assert sum(tokens for tokens, _ in drawn.values()) == 7000


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=20), st.data())
def test_a_source_s_stream_is_its_stretches_one_after_the_other(stretches, data):
    lengths = np.array([length for length, _ in stretches])
    is_ours = np.array([ours for _, ours in stretches])
    if not is_ours.any():
        is_ours[0] = True
    starts = np.cumsum(lengths) - lengths
    stream = SourceStream(Counting(int(lengths.sum())), starts[is_ours], lengths[is_ours])
    expected = [np.arange(s, s + n) for s, n in zip(starts[is_ours], lengths[is_ours], strict=True)]
    row = np.concatenate(expected)
    assert stream.num_tokens == len(row)
    wanted = data.draw(st.lists(st.tuples(st.integers(0, len(row)), st.integers(0, len(row))), min_size=1))
    firsts, ends = np.sort(wanted, axis=1).T
    found = stream.gather(firsts, ends - firsts)
    assert found.tolist() == [
        token for first, end in zip(firsts, ends, strict=True) for token in row[first:end]
    ]
    for first, length in ((1, len(row)), (-1, 1)):
        with pytest.raises(IndexError, match=f"of a stream of {len(row)}"):
            stream.gather(np.array([first]), np.array([length]))


def test_the_sources_of_shards_hold_every_document_once(small_shards: Path):
    shards = TokenShards(small_shards)
    streams = source_streams(shards, "train")
    assert list(streams) == ["songs", "tales"]
    for name, stream in streams.items():
        row = stream.gather(np.array([0]), np.array([stream.num_tokens]))
        own = [d for d in shards.documents("train") if d.source == name]
        texts = [shards.stream("train").tokens(d.first_token, d.num_tokens) for d in own]
        assert np.array_equal(row, np.concatenate(texts))


@pytest.mark.parametrize(
    ("shares", "complaint"),
    [
        ({"tale": 1.0}, "mixture: no source named 'tale'. Did you mean 'tales'? Known: psalms, songs, tales"),
        (
            {"psalms": 1.0, "songs": 1.0},
            "mixture: source 'psalms': 55 tokens are fewer than one window of 61",
        ),
    ],
)
def test_sources_that_cannot_be_read_are_refused_by_name(shares, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        MixtureWindows(STREAMS, shares, context_tokens=60, seed=0)
