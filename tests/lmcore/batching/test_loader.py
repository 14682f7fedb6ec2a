import itertools
import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import Counting

from lmcore.batching.loader import BatchLoader
from lmcore.batching.mixture import MixtureWindows, source_streams
from lmcore.batching.packing import PackedWindows
from lmcore.batching.settings import ShardsConfig
from lmcore.batching.token_shards import TokenShards, write_shards
from lmcore.batching.windows import TrainingWindows
from lmcore.tokenizers.settings import TokenizerConfig
from lmcore.tokenizers.training import train_tokenizer

WORKERS = st.sampled_from([0, 2])
WORLD_SIZES = st.sampled_from([1, 2, 4])


def windows(kind: str, seed: int = 0):
    if kind == "mixture":
        streams = {"songs": Counting(100), "tales": Counting(1003, 10_000)}
        return MixtureWindows(streams, {"songs": 1, "tales": 3}, 7, seed)
    if kind == "packed":
        offsets = np.cumsum([0, *(1 + number * 7 % 23 for number in range(60))])
        return PackedWindows(Counting(offsets[-1]), offsets, 7, seed)
    return TrainingWindows(Counting(1003), 7, seed)


def as_bytes(batch) -> list[bytes]:
    """The bytes of each row of a batch, whatever arrays it has."""
    arrays = batch if isinstance(batch, tuple) else (batch,)
    return [b"".join(row.tobytes() for row in rows) for rows in zip(*arrays, strict=True)]


def take(loader: BatchLoader, count: int) -> list[list[bytes]]:
    return [as_bytes(batch) for batch in itertools.islice(loader, count)]


def num_threads() -> int:
    return sum(thread.name.startswith("batches") for thread in threading.enumerate())


@settings(max_examples=60)
@given(
    st.sampled_from(["windows", "mixture", "packed"]),
    st.integers(0, 2**40),
    st.integers(0, 60),
    st.tuples(WORKERS, WORLD_SIZES),
    st.tuples(WORKERS, WORLD_SIZES),
)
def test_what_was_read_and_what_is_resumed_are_the_uninterrupted_stream(kind, seed, k, before, after):
    expected = take(BatchLoader(windows(kind, seed), 8), 64)

    def all_ranks(setting, count, state=None):
        workers, world_size = setting
        parts, states = [], set()
        for rank in range(world_size):
            loader = BatchLoader(windows(kind, seed), 8, rank, world_size, workers)
            if state:
                loader.resume(*state)
            parts.append(take(loader, count))
            states.add((loader.state, json.dumps(loader.fingerprint)))
        ((step, fingerprint),) = states
        return [list(itertools.chain(*rows)) for rows in zip(*parts, strict=True)], (
            step,
            json.loads(fingerprint),
        )

    first, state = all_ranks(before, k)
    assert state[0] == k
    rest, _ = all_ranks(after, 64 - k, state)
    assert first + rest == expected


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_leaving_and_iterating_again_loses_and_repeats_nothing(workers: int):
    loader = BatchLoader(windows("windows"), 8, workers=workers)
    parts = [take(loader, count) for count in (3, 1, 5)]
    assert list(itertools.chain(*parts)) == take(BatchLoader(windows("windows"), 8), 9)
    assert loader.state == 9
    first = take(BatchLoader(windows("windows"), 8, workers=workers, first_step=7), 2)
    assert first == parts[2][3:]


def test_a_jump_in_the_middle_is_followed():
    loader = BatchLoader(windows("windows"), 8, workers=2)
    batches = iter(loader)
    next(batches)
    loader.resume(20, loader.fingerprint)
    assert as_bytes(next(batches)) == as_bytes(loader.batch(20))
    assert loader.state == 21
    batches.close()


def test_no_thread_outlives_its_iterator():
    batches = iter(BatchLoader(windows("windows"), 8, workers=2))
    next(batches)
    assert num_threads() > 0
    batches.close()
    assert num_threads() == 0
    for _ in BatchLoader(windows("windows"), 8, workers=2):
        break
    assert num_threads() == 0


class Broken(TrainingWindows):
    """Fails at one batch."""

    def windows(self, first, count):
        if first == 8 * 5:
            raise OSError("the disk is gone")
        return super().windows(first, count)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_is_raised_where_its_batch_is_due_and_leaves_no_thread(workers: int):
    loader = BatchLoader(Broken(Counting(1003), 7, seed=0), 8, workers=workers)
    found = []
    with pytest.raises(OSError, match="the disk is gone"):
        found.extend(map(as_bytes, loader))
    assert found == take(BatchLoader(windows("windows"), 8), 5)
    assert loader.state == 5
    assert num_threads() == 0


def test_a_forked_child_goes_on_with_threads_of_its_own():
    code = """
import os, sys, warnings
warnings.simplefilter("ignore")  # newer Pythons warn of a fork beside threads: that is what is tried
from streams import Counting
from lmcore.batching.loader import BatchLoader
from lmcore.batching.windows import TrainingWindows
loader = BatchLoader(TrainingWindows(Counting(1003), 7, seed=0), 8, workers=2)
batches = iter(loader)
next(batches)
child = os.fork()
assert all((next(batches) == loader.batch(step)).all() for step in range(1, 9))
if child == 0:
    batches.close()
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    folders = [Path(__file__).parents[2] / "support", Path(__file__).parents[3]]
    path = ":".join(map(str, folders))
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def other_shards(tmp_path_factory, small_corpus) -> Path:
    folder = tmp_path_factory.mktemp("other")
    (folder / "tokenizer").mkdir()
    train_tokenizer(small_corpus, folder / "tokenizer", TokenizerConfig(vocab_size=380))
    write_shards(small_corpus, folder / "tokenizer", folder / "shards", ShardsConfig())
    return folder / "shards"


def loader_of(shards: Path, seed: int = 0, context: int = 16, batch_size: int = 8) -> BatchLoader:
    return BatchLoader(TokenShards(shards).windows("train", context, seed), batch_size)


def test_another_tokenizer_other_shards_or_another_order_are_refused(
    small_shards, other_shards, small_corpus, small_tokenizer, tmp_path
):
    saved = json.loads(json.dumps(loader_of(small_shards).fingerprint))
    loader_of(small_shards).resume(5, saved)
    write_shards(small_corpus, small_tokenizer, tmp_path / "again", ShardsConfig(shard_tokens=500))
    digest = TokenShards(small_shards).index.tokenizer[:12]
    for loader, complaint in (
        (loader_of(other_shards), f"step 5 is of a run with tokenizer {digest}, this one has"),
        (loader_of(tmp_path / "again"), "step 5 is of a run with shards"),
        (loader_of(small_shards, seed=1), "run with seed 0, this one has 1: resume with what"),
        (loader_of(small_shards, context=8), "run with context_tokens 16, this one has 8"),
        (loader_of(small_shards, batch_size=4), "run with batch_size 8, this one has 4"),
        (
            BatchLoader(TokenShards(small_shards).packed("train", 16, 0), 8),
            "run with order windows, this one has packed",
        ),
        (BatchLoader(windows("mixture"), 8), "is of a run with"),
    ):
        with pytest.raises(ValueError, match=re.escape(complaint)):
            loader.resume(5, saved)
        assert loader.state == 0


def test_a_mixture_s_state_holds_its_shares_and_each_source_s_shards(small_shards):
    shards = TokenShards(small_shards)
    mixtures = [
        MixtureWindows(source_streams(shards, "train"), {"songs": 1.0, "tales": weight}, 16, seed=0)
        for weight in (1.0, 3.0)
    ]
    loaders = [BatchLoader(mixture, 8) for mixture in mixtures]
    assert loaders[0].fingerprint["shards of tales"] == shards.digest
    with pytest.raises(ValueError, match=r"run with share of songs 0.5, this one has 0.25"):
        loaders[1].resume(1, loaders[0].fingerprint)


@pytest.mark.parametrize(
    ("numbers", "complaint"),
    [
        ({"world_size": 3}, "a batch of 8 does not divide among 3 ranks; choose a multiple"),
        ({"rank": 2, "world_size": 2}, "rank 2 of 2; expected 0 to 1"),
        ({"workers": -1}, "-1 workers"),
        ({"first_step": -1}, "from step -1 on"),
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(numbers, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        BatchLoader(windows("windows"), 8, **numbers)
    loader = BatchLoader(windows("windows"), 8)
    with pytest.raises(ValueError, match="step -1 cannot be resumed"):
        loader.resume(-1, loader.fingerprint)
