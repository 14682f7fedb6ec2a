"""Words in context become vectors: skip-gram with negative sampling (Mikolov et al. 2013).

A word's vector x and the other vector y of a word are drawn together where one stands in the other's context,
and pushed apart where it was drawn by chance: maximise, over the pairs of the text,
log s(x.y) + k E[log s(-x.n)], n drawn by count^0.75, s the logistic function.

A step goes over some neighbouring words at once, its centres. Their contexts overlap, so all dot products of
the step are one matrix product, masked to the windows; the chance draws of a step are shared by its centres
(Ji et al. 2016), each weighted so that a pair meets k of them. The expected gradient is that of separate
draws, and matrix products take the place of a gather for each draw. Steps are taken in an order by chance,
so that no source has the last word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lmcore.corpus.analysis.settings import SkipGramConfig
from lmcore.corpus.analysis.words import NumberedTexts

Vectors = NDArray[np.float32]
Progress = Callable[[int, int, float], None]
"""Told after each epoch: epochs done, of how many, mean loss of a pair."""

MOST_CENTRES, FEWEST_CENTRES, DRAWS = 128, 4, 64
SAME = 1.0
"""A step has so few centres that no word is expected among them more often. Changes of a step add up, so one
with much of the same overshoots: a text of a dozen words diverged with 128 centres, and with 36."""
POWER = 0.75
LEAST_RATE = 1e-4 / 0.025
"""Of the learning rate: what is left of it in the end."""
MEASURED = 16
"""Every so many steps the loss is computed as well."""


@dataclass(frozen=True)
class Trained:
    vectors: Vectors
    """(V, D)"""
    losses: tuple[float, ...]
    """Mean loss of a pair with its negatives, for each epoch."""
    num_pairs: int
    """Pairs of a word and one of its context, over all epochs."""


def train_skip_gram(
    texts: NumberedTexts, config: SkipGramConfig, progress: Progress | None = None
) -> Trained:
    """Learn a vector for each word; equal bits for any number of threads, on one kind of processor.

    Raises:
        ValueError: fewer than two words to tell apart, or none beside another.
    """
    from threadpoolctl import threadpool_limits

    if len(texts.words) < 2:
        raise ValueError(
            f"{len(texts.words)} words occur {config.min_count} times or more on the train side, expected at "
            "least two; add text or lower embeddings.min_count"
        )
    random = np.random.RandomState(config.seed)  # its streams are frozen
    model, draw = _Model(len(texts.words), config, random), NegativeSampler(texts.counts)
    losses = []
    # Sums that are split over threads round differently for each number of them.
    with threadpool_limits(1), np.errstate(over="ignore", invalid="ignore"):
        for epoch in range(config.epochs):
            total, pairs = 0.0, 0
            text = _Epoch(texts, config, random)
            for done, number in enumerate(random.permutation(text.num_steps)):
                rate = 1 - (epoch + done / text.num_steps) / config.epochs
                step, negatives = text.step(number), draw(random, DRAWS)
                if done % MEASURED == 0:
                    total, pairs = total + model.loss(step, negatives), pairs + int(step.is_pair.sum())
                model.learn(step, negatives, config.learning_rate * max(rate, LEAST_RATE))
            losses.append(total / max(pairs, 1))
            if not np.isfinite(losses[-1]):
                raise ValueError("learning diverged; lower embeddings.learning_rate")
            if progress:
                progress(epoch + 1, config.epochs, losses[-1])
    if not model.num_pairs:
        raise ValueError("no two words stand beside each other on the train side; add longer texts")
    return Trained(model.inputs, tuple(losses), model.num_pairs)


class NegativeSampler:
    """Draws words by chance, each in proportion to its count to the power of 0.75."""

    def __init__(self, counts: NDArray[np.int64]) -> None:
        sums = np.cumsum(counts.astype(np.float64) ** POWER)
        self._shares = sums / sums[-1]

    def __call__(self, random: np.random.RandomState, number: int) -> NDArray[np.int64]:
        """`number` of them, repeats possible."""
        return np.searchsorted(self._shares, random.random_sample(number), side="right")


def keep_shares(counts: NDArray[np.int64], subsample: float) -> NDArray[np.float64]:
    """Of each word's occurrences the share that is learned from: sqrt(t/f) + t/f, 1 at most, (V,).

    f is the word's share of the text, t the threshold; the form of word2vec's code, not of its paper.
    """
    ratio = subsample / (counts / counts.sum())
    return np.minimum(np.sqrt(ratio) + ratio, 1.0)


class _Step(NamedTuple):
    """Some neighbouring words, and which of those around each are its context."""

    centres: NDArray[np.int32]
    """(T,)"""
    around: NDArray[np.int32]
    """(C,): the centres, and a window before and behind them."""
    is_pair: NDArray[np.bool_]
    """(T, C)"""


class _Epoch:
    """The text as one epoch sees it, without some occurrences of frequent words, in steps."""

    def __init__(self, texts: NumberedTexts, config: SkipGramConfig, random: np.random.RandomState) -> None:
        shares = keep_shares(texts.counts, config.subsample)
        is_kept = random.random_sample(len(texts.tokens)) < shares[texts.tokens]
        tokens, places = texts.tokens[is_kept], texts.texts[is_kept]
        reaches = random.randint(1, config.window + 1, size=len(tokens)).astype(np.int8)
        self._size = _centres(texts.counts * shares)
        self.num_steps = -(-len(tokens) // self._size)
        # Filled up so that all steps have one shape; what fills up is of no text and reaches nowhere.
        edge, rest = config.window, -len(tokens) % self._size
        self._tokens = np.pad(tokens, (edge, edge + rest))
        self._texts = np.pad(places, (edge, edge + rest), constant_values=-1)
        self._reaches = np.pad(reaches, (0, rest))
        self._edge = edge
        around, centres = np.arange(self._size + 2 * edge), np.arange(self._size)
        self._distances = np.abs(around - edge - centres[:, None])  # (T, C)
        self._distances[self._distances == 0] = 2 * edge  # no word is its own context

    def step(self, number: int) -> _Step:
        begin, size = number * self._size, self._size
        centres = slice(begin + self._edge, begin + self._edge + size)
        around = slice(begin, begin + size + 2 * self._edge)
        is_near = self._distances <= self._reaches[begin : begin + size, None]
        is_pair = is_near & (self._texts[centres, None] == self._texts[around])
        return _Step(self._tokens[centres], self._tokens[around], is_pair)


def _centres(occurrences: NDArray[np.float64]) -> int:
    """How many centres a step has, given how often each word is expected in an epoch."""
    share = float(occurrences.max() / occurrences.sum())
    return max(min(int(SAME / share), MOST_CENTRES), FEWEST_CENTRES)


class _Model:
    """A vector of each word as itself, and one as another word's context."""

    def __init__(self, num_words: int, config: SkipGramConfig, random: np.random.RandomState) -> None:
        shape = num_words, config.width
        self.inputs: Vectors = ((random.random_sample(shape) - 0.5) / config.width).astype(np.float32)
        self.outputs: Vectors = np.zeros(shape, np.float32)
        self.num_pairs = 0
        self._weight = config.negatives / DRAWS

    def learn(self, step: _Step, negatives: NDArray[np.int64], rate: float) -> None:
        """One step downhill; `negatives` is (N,)."""
        others, num = np.concatenate([step.around, negatives]), len(step.around)
        x, y = self.inputs[step.centres], self.outputs[others]  # (T, D), (C + N, D)
        pull = -_logistic(x @ y.T)  # (T, C + N)
        pull[:, :num] += 1
        pull[:, :num] *= step.is_pair
        pairs = step.is_pair.sum(axis=1)
        pull[:, num:] *= (pairs * self._weight).astype(np.float32)[:, None]
        pull *= np.float32(rate)
        _add_rows(self.inputs, step.centres, pull @ y)
        _add_rows(self.outputs, others, pull.T @ x)
        self.num_pairs += int(pairs.sum())

    def loss(self, step: _Step, negatives: NDArray[np.int64]) -> float:
        """The sum over the pairs of -log s(x.y) - k mean log s(-x.n)."""
        x = self.inputs[step.centres]
        found = np.logaddexp(0, -(x @ self.outputs[step.around].T)) * step.is_pair  # (T, C)
        by_chance = np.logaddexp(0, x @ self.outputs[negatives].T).sum(axis=1) * step.is_pair.sum(axis=1)
        return float(found.sum(dtype=np.float64) + self._weight * by_chance.sum(dtype=np.float64))


def _logistic(scores: Vectors) -> Vectors:
    np.negative(scores, out=scores)
    np.exp(scores, out=scores)
    scores += 1
    return np.reciprocal(scores, out=scores)


def _add_rows(matrix: Vectors, rows: NDArray[np.integer], changes: Vectors) -> None:
    """`matrix[rows] += changes`, where rows that stand there several times are added up first."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    firsts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    matrix[ordered[firsts]] += np.add.reduceat(changes[order], firsts)
