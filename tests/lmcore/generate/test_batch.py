import random

import pytest
import torch

from lmcore.generate import batch
from lmcore.generate.batch import generate_batch
from lmcore.generate.decode import generate
from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer


@pytest.fixture(scope="module")
def model() -> Transformer:
    config = TransformerConfig(
        width=32, num_layers=2, num_heads=4, num_key_value_heads=2, context_tokens=24, is_tied=False
    )
    return Transformer(config, 50, seed=2).eval()


@pytest.fixture(scope="module")
def prompts() -> list[list[int]]:
    """30 prompts of 1 to 40 tokens, many of one length, some longer than the context."""
    draw = random.Random(0)
    lengths = [draw.choice([1, 3, 4, 4, 9, 30, 40]) for _ in range(30)]
    return [[draw.randrange(50) for _ in range(length)] for length in lengths]


def one_by_one(model, prompts, limits, stop_ids=()):
    return [
        list(generate(model, prompt, limit, stop_ids=stop_ids))
        for prompt, limit in zip(prompts, limits, strict=True)
    ]


@pytest.mark.parametrize("stop_ids", [(), (3, 11, 17, 20, 31)])
def test_many_at_once_are_the_same_as_one_by_one(model, prompts, stop_ids):
    expected = one_by_one(model, prompts, [12] * len(prompts), stop_ids)
    assert generate_batch(model, prompts, 12, stop_ids) == expected
    if stop_ids:
        assert len({len(answer) for answer in expected}) > 1


def test_texts_that_outgrow_the_context_go_on_as_they_do_alone(model, prompts):
    assert generate_batch(model, prompts, 30) == one_by_one(model, prompts, [30] * len(prompts))


def test_each_prompt_may_have_a_limit_of_its_own(model, prompts):
    limits = [number % 7 for number in range(len(prompts))]
    answers = generate_batch(model, prompts, limits)
    assert answers == one_by_one(model, prompts, limits)
    assert [len(answer) for answer in answers] == limits


def test_nearly_equal_logits_are_decided_as_they_are_alone(model, prompts, monkeypatch):
    alone = []
    monkeypatch.setattr(batch, "NEARLY_EQUAL", 0.05)
    monkeypatch.setattr(
        batch, "generate", lambda *given, **named: alone.append(1) or generate(*given, **named)
    )
    assert generate_batch(model, prompts, 12) == one_by_one(model, prompts, [12] * len(prompts))
    assert 0 < len(alone) <= len(prompts)


def test_of_equal_logits_the_lowest_id_is_taken(model):
    blank = Transformer(model.config, 50, seed=1)
    for weight in blank.parameters():
        weight.data.zero_()
    assert generate_batch(blank, [[1, 2], [3, 4]], 3) == [[0, 0, 0], [0, 0, 0]]


def test_small_batches_and_one_lane_change_nothing(model, prompts, monkeypatch):
    expected = generate_batch(model, prompts, 12)
    monkeypatch.setattr(batch, "BATCH_ROWS", {"cpu": 3})
    monkeypatch.setattr(batch, "usable_cores", lambda: 1)
    assert generate_batch(model, prompts, 12) == expected


def test_every_prompt_is_told_and_threads_are_as_before(model, prompts):
    told = []
    before = torch.get_num_threads()
    generate_batch(model, prompts, 2, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (30, 30)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert torch.get_num_threads() == before


def test_nothing_asked_is_nothing_answered(model):
    assert generate_batch(model, [], 5) == []
    assert generate_batch(model, [[1], [2]], 0) == [[], []]


def test_a_prompt_that_cannot_be_read_is_refused(model):
    with pytest.raises(ValueError, match="token id 50, the model knows 0 to 49"):
        generate_batch(model, [[1], [50]], 5)
    with pytest.raises(ValueError, match="no tokens"):
        generate_batch(model, [[1], []], 5)
