"""Skip-gram with negative sampling: its draws, its gradient, and what it makes of a planted text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare

from lmcore.corpus.analysis.nearest import nearest
from lmcore.corpus.analysis.settings import SkipGramConfig
from lmcore.corpus.analysis.skip_gram import (
    DRAWS,
    NegativeSampler,
    _add_rows,
    _Epoch,
    _Model,
    keep_shares,
    train_skip_gram,
)
from lmcore.corpus.analysis.words import number_words

SMALL = SkipGramConfig(width=20, min_count=1, epochs=3, subsample=1.0, seed=3)


ROOMS = {("king", "queen"): "crown throne palace reign", ("cat", "dog"): "fur paw tail bark"}


def planted(num: int = 1500, seed: int = 0) -> list[str]:
    """Sentences in which `king` and `queen`, and `cat` and `dog`, stand among the same words."""
    random = np.random.RandomState(seed)
    sentences = []
    for _ in range(num):
        pair = list(ROOMS)[random.randint(2)]
        around = ROOMS[pair].split()
        said = [*random.choice(around, 3), random.choice(pair), *random.choice(around, 3)]
        sentences.append(" ".join(said))
    return sentences


def cosine(vectors: np.ndarray, one: int, other: int) -> float:
    a, b = vectors[one].astype(float), vectors[other].astype(float)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_negatives_follow_count_to_the_power_of_three_quarters():
    counts = np.array([10_000, 3_000, 500, 81, 16, 1])
    drawn = NegativeSampler(counts)(np.random.RandomState(1), 200_000)
    expected = counts**0.75 / (counts**0.75).sum() * len(drawn)
    seen = np.bincount(drawn, minlength=len(counts))
    assert chisquare(seen, expected).pvalue > 0.01
    plain = counts / counts.sum() * len(drawn)
    assert chisquare(seen, plain).pvalue < 1e-6


def test_frequent_words_are_learned_from_in_part():
    # A quarter, a hundredth and less of the text at t = 0.01: sqrt(t/f) + t/f.
    shares = keep_shares(np.array([25, 1, 74]), 0.01)
    assert shares == pytest.approx([0.2 + 0.04, 1.0, (1 / 74) ** 0.5 + 1 / 74])
    texts = number_words(["common " * 9_000 + "rare " * 10])
    config = SkipGramConfig(subsample=0.01)
    epoch = _Epoch(texts, config, np.random.RandomState(0))
    kept = np.concatenate([epoch.step(n).centres for n in range(epoch.num_steps)])
    expected = 9_000 * keep_shares(texts.counts, 0.01)[0]
    assert (kept == 1).sum() == 10
    assert abs((kept == 0).sum() - expected) < 4 * expected**0.5 + 128  # what fills up the last step is 0


def test_pairs_are_all_words_within_the_drawn_window_of_the_same_text():
    tokens = " ".join(f"w{n:03}" for n in range(200))
    texts = number_words([tokens, "a b c", tokens])
    config = SkipGramConfig(window=4, subsample=1.0)
    epoch = _Epoch(texts, config, np.random.RandomState(5))
    reaches = epoch._reaches[: len(texts.tokens)]
    assert set(reaches.tolist()) == {1, 2, 3, 4}
    wanted = sorted(
        (int(texts.tokens[one]), int(texts.tokens[other]))
        for one in range(len(texts.tokens))
        for other in range(max(one - 4, 0), min(one + 5, len(texts.tokens)))
        if one != other and abs(one - other) <= reaches[one] and texts.texts[one] == texts.texts[other]
    )
    found = []
    for number in range(epoch.num_steps):
        step = epoch.step(number)
        rows, columns = np.nonzero(step.is_pair)
        found += zip(step.centres[rows].tolist(), step.around[columns].tolist(), strict=True)
    assert sorted(found) == wanted


def test_a_step_goes_down_the_gradient_of_the_loss():
    """The change of each vector beside torch's own gradient of the sum over pairs, rate 1."""
    import torch
    from torch.nn.functional import logsigmoid

    texts = number_words(planted(60))
    config = SkipGramConfig(width=6, window=3, negatives=4, subsample=1.0)
    random = np.random.RandomState(2)
    model = _Model(len(texts.words), config, random)
    model.inputs = random.standard_normal(model.inputs.shape).astype(np.float32)
    model.outputs = random.standard_normal(model.outputs.shape).astype(np.float32)
    step = _Epoch(texts, config, random).step(1)
    negatives = NegativeSampler(texts.counts)(random, DRAWS)
    inputs = torch.tensor(model.inputs, dtype=torch.float64, requires_grad=True)
    outputs = torch.tensor(model.outputs, dtype=torch.float64, requires_grad=True)
    loss = torch.zeros((), dtype=torch.float64)
    for row, column in np.argwhere(step.is_pair):
        x = inputs[int(step.centres[row])]
        loss = loss - logsigmoid(x @ outputs[int(step.around[column])])
        loss = loss - 4 * logsigmoid(-(outputs[torch.tensor(negatives)] @ x)).mean()
    loss.backward()
    assert model.loss(step, negatives) == pytest.approx(loss.item(), rel=1e-5)
    before = model.inputs.copy(), model.outputs.copy()
    model.learn(step, negatives, 1.0)
    assert model.inputs - before[0] == pytest.approx(-inputs.grad.numpy(), abs=1e-4)
    assert model.outputs - before[1] == pytest.approx(-outputs.grad.numpy(), abs=1e-3)


def test_rows_that_are_changed_several_times_add_up():
    random = np.random.RandomState(0)
    matrix, rows = random.rand(9, 4).astype(np.float32), random.randint(0, 9, 50)
    changes = random.rand(50, 4).astype(np.float32)
    expected = matrix.copy()
    np.add.at(expected, rows, changes)
    _add_rows(matrix, rows, changes)
    assert matrix == pytest.approx(expected, rel=1e-5)


def test_words_that_share_contexts_are_nearer_than_unrelated_ones():
    texts = number_words(planted())
    trained = train_skip_gram(texts, SMALL.model_copy(update={"epochs": 8, "learning_rate": 0.05}))
    king, queen, cat, dog = map(texts.words.index, ("king", "queen", "cat", "dog"))
    alike = [cosine(trained.vectors, king, queen), cosine(trained.vectors, cat, dog)]
    apart = [cosine(trained.vectors, one, other) for one in (king, queen) for other in (cat, dog)]
    assert min(alike) > max(apart) + 0.3
    assert trained.losses[-1] < 0.9 * trained.losses[0]
    first = nearest(trained.vectors, trained.vectors[[king]], 5).rows[0]
    assert {texts.words[row] for row in first} <= {"king", "queen", *ROOMS["king", "queen"].split()}


def test_the_first_loss_is_that_of_vectors_that_say_nothing():
    texts = number_words(planted(300))
    seen: list[tuple[int, int, float]] = []
    barely = SMALL.model_copy(update={"learning_rate": 1e-9, "epochs": 2})
    train_skip_gram(texts, barely, lambda *told: seen.append(told))
    # A pair and 5 negatives, each told from the other by a coin: 6 ln 2.
    assert [(done, of) for done, of, _ in seen] == [(1, 2), (2, 2)]
    assert [loss for *_, loss in seen] == pytest.approx([6 * np.log(2)] * 2, rel=1e-4)


def test_the_seed_decides_and_nothing_else(tmp_path: Path):
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1])\n"
        "from test_skip_gram import SMALL, planted\n"
        "from lmcore.corpus.analysis.skip_gram import train_skip_gram\n"
        "from lmcore.corpus.analysis.words import number_words\n"
        "print(hashlib.sha256(train_skip_gram(number_words(planted(300)), SMALL).vectors).hexdigest())\n"
    )
    root = Path(__file__).parents[4]
    digests = {
        subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parent)], cwd=tmp_path, check=True, text=True,
            capture_output=True,
            env=os.environ | {"PYTHONPATH": str(root), "PYTHONHASHSEED": threads, "OMP_NUM_THREADS": threads,
                              "OPENBLAS_NUM_THREADS": threads},
        ).stdout
        for threads in ("1", "2")
    }  # fmt: skip
    assert len(digests) == 1
    texts = number_words(planted(300))
    one, other = (train_skip_gram(texts, SMALL.model_copy(update={"seed": seed})) for seed in (3, 4))
    assert not np.array_equal(one.vectors, other.vectors)


def test_a_text_without_pairs_is_refused():
    with pytest.raises(ValueError, match=r"1 words occur 2 times or more.*lower embeddings\.min_count"):
        train_skip_gram(number_words(["a a b"], 2), SMALL.model_copy(update={"min_count": 2}))
    with pytest.raises(ValueError, match="no two words stand beside each other"):
        train_skip_gram(number_words(["a", "b"]), SMALL)
