import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.evaluate.perplexity import score_documents, windows
from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer

V = 50


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Transformer(TransformerConfig(width=16, num_layers=2, num_heads=2, context_tokens=64), V).eval()


def some_documents(*lengths: int) -> list[np.ndarray]:
    random = np.random.RandomState(0)
    return [random.randint(0, V, size=length) for length in lengths]


def uniform(tokens: torch.Tensor) -> torch.Tensor:
    return torch.zeros(*tokens.shape, V)


def bigram(tokens: torch.Tensor) -> torch.Tensor:
    """A model that looks back one token: no window can change what it says."""
    table = torch.randn(V, V, generator=torch.Generator().manual_seed(1))
    return table[tokens]


@torch.no_grad()
def one_by_one(model, tokens: np.ndarray, prefix: int, context: int) -> list[float]:
    """Each token by a forward pass of its own over as much as the context holds."""
    row = [prefix, *tokens.tolist()]
    nats = []
    for place in range(1, len(row)):
        inputs = torch.tensor([row[max(0, place - context) : place]])
        nats.append(-model(inputs)[0, -1].log_softmax(-1)[row[place]].item())
    return nats


def test_a_uniform_model_is_as_perplexed_as_its_vocabulary_is_large():
    nats = np.concatenate(score_documents(uniform, some_documents(1, 30, 77), 0, context=16, stride=5))
    assert len(nats) == 108
    assert math.exp(nats.mean()) == pytest.approx(V, rel=1e-6)


@pytest.mark.parametrize(
    ("stride", "expected"),
    [
        (10, [((-100, 8), (0, 9)), ((9, 18), (10, 19)), ((19, 28), (20, 29)), ((23, 32), (30, 33))]),
        (
            6,
            [
                ((-100, 8), (0, 9)),
                ((5, 14), (10, 15)),
                ((11, 20), (16, 21)),
                ((17, 26), (22, 27)),
                ((23, 32), (28, 33)),
            ],
        ),
    ],
)
def test_windows_are_those_of_the_evaluation_harness(stride, expected):
    # The golden lists of lm-evaluation-harness for 34 tokens, max_seq_len 10, context_len 1 and 5.
    row = [-100, *range(34)]
    cut = [
        ((row[window.first], row[window.last - 1]), (row[window.scored + 1], row[window.last]))
        for window in windows(34, 10, stride)
    ]
    assert cut == expected


@given(st.integers(0, 300), st.integers(1, 40), st.data())
def test_every_token_is_scored_once_with_context_enough(num_targets, context, data):
    stride = data.draw(st.integers(1, context))
    cut = list(windows(num_targets, context, stride))
    assert [target for window in cut for target in range(window.scored, window.last)] == list(
        range(num_targets)
    )
    for window in cut:
        assert window.last - window.first <= context
        assert window.first == 0 or window.scored - window.first >= context - stride


def test_a_text_that_fits_is_scored_in_one_window_with_all_its_context(model):
    (document,) = some_documents(20)
    (nats,) = score_documents(model, [document], 7, context=64, stride=3)
    assert len(list(windows(20, 64, 3))) == 1
    assert nats == pytest.approx(one_by_one(model, document, 7, 64), abs=1e-5)


def test_stride_one_is_each_token_with_the_whole_context_before_it(model):
    documents = some_documents(50, 9, 1)
    scored = score_documents(model, documents, 7, context=8, stride=1, batch_tokens=40)
    for nats, document in zip(scored, documents, strict=True):
        assert nats == pytest.approx(one_by_one(model, document, 7, 8), abs=1e-5)


@given(st.integers(1, 20), st.data())
@settings(max_examples=20)
def test_windows_cannot_change_what_a_bigram_model_says(context, data):
    stride = data.draw(st.integers(1, context))
    documents = some_documents(33, 20, 5)
    scored = score_documents(bigram, documents, 3, context=context, stride=stride)
    for nats, document in zip(scored, documents, strict=True):
        assert nats == pytest.approx(one_by_one(bigram, document, 3, 1), abs=1e-5)


def test_the_bits_do_not_depend_on_the_number_of_threads(model):
    documents, before = some_documents(200, 100, 64), torch.get_num_threads()
    scored = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            scored.append(np.concatenate(score_documents(model, documents, 0, context=32, stride=16)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*scored)


def test_progress_counts_windows_to_the_last():
    seen = []
    documents = some_documents(30, 5)
    score_documents(uniform, documents, 0, context=10, stride=10, progress=lambda *n: seen.append(n))
    assert seen[-1] == (4, 4)


@pytest.mark.parametrize("stride", [0, 11])
def test_a_stride_that_skips_tokens_is_refused(stride):
    with pytest.raises(ValueError, match="must lie between 1 and the context"):
        score_documents(uniform, some_documents(30), 0, context=10, stride=stride)
