from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from streams import Counting

from lmcore.batching.packing import PackedWindows, best_fit_decreasing
from lmcore.batching.token_shards import TokenShards
from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer

DOCUMENTS = st.lists(st.integers(1, 60), min_size=1, max_size=60)
CONTEXTS = st.integers(1, 40)
SEEDS = st.integers(0, 2**40)


def packed(lengths: list[int], context: int, seed: int = 0) -> PackedWindows:
    offsets = np.cumsum([0, *lengths])
    return PackedWindows(Counting(offsets[-1]), offsets, context, seed, pad_id=-1)


def place_one_by_one(lengths: list[int], capacity: int) -> list[int]:
    """The definition: each piece looks at all bins; of equal ones that which has had its room for longest."""
    rooms: list[tuple[int, int]] = []  # (room, moment since when)
    bins = [-1] * len(lengths)
    for moment, piece in enumerate(sorted(range(len(lengths)), key=lambda number: -lengths[number])):
        fitting = [(*state, number) for number, state in enumerate(rooms) if state[0] >= lengths[piece]]
        room, _, number = min(fitting, default=(capacity, 0, len(rooms)))
        rooms[number:] = [(room - lengths[piece], moment), *rooms[number + 1 :]]
        bins[piece] = number
    return bins


@given(st.lists(st.integers(1, 30), max_size=80), st.integers(30, 60))
def test_every_piece_lies_where_a_search_of_all_bins_puts_it(lengths: list[int], capacity: int):
    found = best_fit_decreasing(np.array(lengths, dtype=np.int64), capacity)
    assert found.tolist() == place_one_by_one(lengths, capacity)


def test_a_case_by_hand():
    # 6 opens 0 (room 4), 5 opens 1 (room 5), 4 -> 0 (room 0), 3 -> 1 (room 2), 3 opens 2 (room 7),
    # 2 -> 1 (room 0), 2 -> 2 (room 5).
    assert best_fit_decreasing(np.array([2, 3, 5, 6, 3, 4, 2]), 10).tolist() == [1, 1, 1, 0, 2, 0, 2]


def test_a_piece_that_fits_no_bin_is_refused():
    with pytest.raises(ValueError, match="pieces of 3 to 11 tokens; expected between 1 and 10"):
        best_fit_decreasing(np.array([3, 11]), 10)


@given(DOCUMENTS, CONTEXTS, SEEDS, st.integers(0, 3))
def test_every_token_of_every_document_is_in_one_row_of_an_epoch(lengths, context, seed, epoch):
    windows = packed(lengths, context, seed)
    rows = windows.windows(epoch * windows.num_windows, windows.num_windows)
    assert sorted(rows.tokens[rows.segment_ids > 0].tolist()) == list(range(sum(lengths)))
    assert (rows.tokens[rows.segment_ids == 0] == -1).all()
    assert windows.full_share == pytest.approx((rows.segment_ids > 0).mean())


@given(DOCUMENTS, CONTEXTS, SEEDS)
def test_a_segment_is_a_stretch_of_one_document_and_as_long_as_it_can_be(lengths, context, seed):
    windows = packed(lengths, context, seed)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    pieces: Counter[tuple[int, int]] = Counter()
    rows = windows.batch(0, windows.num_windows)
    assert rows.positions.dtype == rows.segment_ids.dtype == np.int32
    for tokens, segments, positions in zip(*rows, rows.positions, strict=True):
        filled = segments[segments > 0]
        assert (segments[: len(filled)] > 0).all()  # what is empty stands at the end
        assert (np.diff(filled) >= 0).all()
        for segment in range(1, filled.max() + 1):
            own = tokens[segments == segment]
            assert positions[segments == segment].tolist() == list(range(len(own)))
            assert own.tolist() == list(range(own[0], own[0] + len(own)))
            assert len(set(owner[own])) == 1
            pieces[owner[own[0]], len(own)] += 1
    for number, length in enumerate(lengths):
        full, rest = divmod(length, context + 1)
        assert pieces[number, context + 1] == full
        assert rest == 0 or pieces[number, rest] == 1


@given(DOCUMENTS, CONTEXTS, SEEDS, st.integers(0, 20), st.integers(1, 9))
def test_a_step_is_the_same_alone_and_whatever_the_batch_size(lengths, context, seed, step, batch_size):
    together = packed(lengths, context, seed).batch(0, (step + 1) * batch_size)
    alone = packed(lengths, context, seed).batch(step, batch_size)
    for part, whole in zip(alone, together, strict=True):
        assert np.array_equal(part, whole[step * batch_size :])


def test_epochs_go_in_another_order():
    windows = packed([5, 9, 14, 3, 30, 7] * 9, 10)
    epochs = [windows.batch(epoch, windows.num_windows).tokens for epoch in range(3)]
    assert len({tokens.tobytes() for tokens in epochs}) == 3
    assert len({np.sort(tokens, axis=0).tobytes() for tokens in epochs}) == 1
    assert windows.epoch(2, windows.num_windows) == 2.0


def test_a_text_s_first_token_and_padding_are_no_targets():
    rows = packed([3, 2, 4], context=6).batch(0, 2)  # rows of 7: 4 + 3, and 2
    full = rows.segment_ids[:, -1].argmax()
    assert rows.segment_ids[full].tolist() == [1, 1, 1, 1, 2, 2, 2]
    assert rows.positions[full].tolist() == [0, 1, 2, 3, 0, 1, 2]
    assert rows.tokens[full].tolist() == [5, 6, 7, 8, 0, 1, 2]
    assert rows.is_counted[full].tolist() == [True, True, True, False, True, True]
    assert rows.tokens[1 - full].tolist() == [3, 4, -1, -1, -1, -1, -1]
    assert rows.is_counted[1 - full].tolist() == [True, False, False, False, False, False]


def test_the_model_s_loss_takes_the_mask(small_shards):
    shards = TokenShards(small_shards)
    windows = shards.packed("train", 16, seed=1)
    rows = windows.batch(0, 4)
    model = Transformer(TransformerConfig(width=16, num_layers=1, num_heads=2, context_tokens=16), 400)
    with torch.no_grad():
        tokens, is_counted = torch.from_numpy(rows.tokens), torch.from_numpy(rows.is_counted)
        logits = model(tokens[:, :-1]).log_softmax(dim=-1)
        expected = -logits.gather(2, tokens[:, 1:, None])[..., 0][is_counted].sum()
        assert float(model.loss(tokens, is_counted)) == pytest.approx(float(expected), rel=1e-5)


def test_packed_shards_hold_whole_documents(small_shards):
    shards = TokenShards(small_shards)
    longest = max(span.num_tokens for span in shards.documents("train"))
    windows = shards.packed("train", longest - 1, seed=0)
    rows = windows.batch(0, windows.num_windows)
    texts = Counter(
        tokens[segments == segment].tobytes()
        for tokens, segments in zip(*rows, strict=True)
        for segment in range(1, segments.max() + 1)
    )
    spans, stream = shards.documents("train"), shards.stream("train")
    assert texts == Counter(stream.tokens(span.first_token, span.num_tokens).tobytes() for span in spans)


def test_nothing_to_pack_is_refused():
    with pytest.raises(ValueError, match="there are no documents to pack: add text"):
        PackedWindows(Counting(0), np.array([0]), 8, seed=0)
