import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from lmcore.generate.logits import (
    keep_top_k,
    keep_top_p,
    penalize_frequency,
    penalize_presence,
    penalize_repetition,
    scale_by_temperature,
)

NO_IDS = torch.zeros(1, 0, dtype=torch.int64)
logit_rows = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=12).map(torch.tensor)


def kept(logits: torch.Tensor) -> list[int]:
    return [index for index, value in enumerate(logits.tolist()) if value > -torch.inf]


def random_rows(number: int = 10_000, size: int = 40) -> torch.Tensor:
    return torch.randn(number, size, generator=torch.Generator().manual_seed(0)) * 3


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9, 0.99])
def test_top_p_equals_transformers_on_ten_thousand_rows(p: float):
    rows = random_rows()
    assert torch.equal(keep_top_p(rows, p), TopPLogitsWarper(p)(NO_IDS, rows))


@pytest.mark.parametrize("k", [1, 3, 39, 40, 100])
def test_top_k_equals_transformers_on_ten_thousand_rows(k: int):
    rows = random_rows()
    assert torch.equal(keep_top_k(rows, k), TopKLogitsWarper(k)(NO_IDS, rows))


@pytest.mark.parametrize(("p", "expected"), [(0.9, [0]), (0.95, [0]), (0.96, [0, 1]), (1.0, [0, 1, 2])])
def test_the_likeliest_token_stays_even_if_it_alone_is_enough(p: float, expected: list[int]):
    assert kept(keep_top_p(torch.tensor([0.95, 0.03, 0.02]).log(), p)) == expected


@pytest.mark.parametrize(("p", "expected"), [(0.9, 3), (0.8, 2), (0.5, 1), (0.51, 2), (1e-9, 1)])
def test_the_token_that_crosses_p_stays_and_a_sum_that_reaches_p_is_enough(p: float, expected: int):
    assert kept(keep_top_p(torch.tensor([0.5, 0.3, 0.15, 0.05]).log(), p)) == list(range(expected))


@given(logit_rows, st.floats(0.01, 1.0))
def test_top_p_leaves_the_smallest_set_that_reaches_p(logits: torch.Tensor, p: float):
    probabilities = logits.double().softmax(dim=-1)
    stays = kept(keep_top_p(logits, p))
    assert probabilities[stays].sum() >= p - 1e-8
    if len(stays) > 1 and p < 1:
        assert probabilities[stays].sum() - probabilities[stays].min() < p


@given(logit_rows, st.integers(1, 15))
def test_top_k_leaves_exactly_k_and_of_equals_the_lower_ids(logits: torch.Tensor, k: int):
    stays = kept(keep_top_k(logits.round(), k))
    assert len(stays) == min(k, len(logits))
    assert stays == sorted(sorted(range(len(logits)), key=lambda i: (-logits.round()[i].item(), i))[:k])


def test_temperature_gives_the_distribution_by_hand_and_equals_transformers():
    logits = torch.tensor([2.0, 1.0, 0.0])
    halved = scale_by_temperature(logits, 0.5).softmax(dim=-1)
    assert torch.allclose(
        halved, torch.tensor([4.0, 2.0, 0.0]).exp() / torch.tensor([4.0, 2.0, 0.0]).exp().sum()
    )
    assert torch.equal(scale_by_temperature(logits, 0.7), TemperatureLogitsWarper(0.7)(NO_IDS, logits))
    assert torch.equal(scale_by_temperature(logits, 1.0), logits)


def test_entropy_rises_with_temperature():
    logits = torch.randn(20)
    entropies = [
        torch.distributions.Categorical(logits=scale_by_temperature(logits, t)).entropy()
        for t in (0.2, 0.7, 1, 3)
    ]
    assert entropies == sorted(entropies)


def test_repetition_penalty_equals_transformers():
    logits, seen = torch.randn(1, 30), torch.tensor([[3, 7, 7, 20]])
    counts = torch.bincount(seen[0], minlength=30)
    expected = RepetitionPenaltyLogitsProcessor(1.3)(seen, logits.clone())
    assert torch.equal(penalize_repetition(logits, counts, 1.3), expected)


def test_presence_is_flat_and_frequency_linear_in_the_count():
    logits, counts = torch.zeros(3), torch.tensor([0, 1, 3])
    assert penalize_presence(logits, counts, 0.5).tolist() == [0, -0.5, -0.5]
    assert penalize_frequency(logits, counts, 0.5).tolist() == [0, -0.5, -1.5]


def test_neutral_penalties_change_nothing():
    logits, counts = torch.randn(9), torch.arange(9)
    assert torch.equal(penalize_repetition(logits, counts, 1.0), logits)
    assert torch.equal(penalize_presence(logits, counts, 0.0), logits)
    assert torch.equal(penalize_frequency(logits, counts, 0.0), logits)


def test_settings_that_leave_no_token_are_refused():
    logits = torch.randn(4)
    for call in (
        lambda: scale_by_temperature(logits, 0),
        lambda: keep_top_k(logits, 0),
        lambda: keep_top_p(logits, 0),
        lambda: keep_top_p(logits, 1.1),
        lambda: penalize_repetition(logits, torch.zeros(4), 0),
    ):
        with pytest.raises(ValueError, match=r"top_|temperature|repetition"):
            call()
