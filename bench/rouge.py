"""ROUGE against the `rouge-score` package: pairs per second, and that every digit is the same.

    python bench/rouge.py      prints a ratio for each kind of score: above 1 ours is faster

One process, the two in turn, the median ratio: it holds where the machine's speed drifts. Each round begins
with scorers that have seen nothing. The texts are 120 words, Zipf-distributed as in English.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

from rouge_score.rouge_scorer import RougeScorer

from lmcore.evaluate.metrics.rouge import Rouge

PAIRS, WORDS, ROUNDS = 120, 120, 7
CHOICES = (["rouge1", "rouge2"], ["rougeL"], ["rougeLsum"], ["rouge1", "rouge2", "rougeL"])
SYLLABLES = ("al", "con", "der", "es", "fer", "ing", "ly", "men", "nation", "or", "per", "ran", "s", "ted")


def make_pairs() -> list[tuple[str, str]]:
    draw = random.Random(0)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(4_000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]

    def text() -> str:
        chosen = draw.choices(words, weights, k=WORDS)
        return " ".join(word + (".\n" if place % 15 == 14 else "") for place, word in enumerate(chosen))

    return [(text(), text()) for _ in range(PAIRS)]


def measure(
    score: Callable[[str, str], dict[str, tuple[float, ...]]], pairs: list[tuple[str, str]]
) -> tuple[float, list[dict[str, tuple[float, ...]]]]:
    began = time.perf_counter()
    scores = [{kind: tuple(each) for kind, each in score(*pair).items()} for pair in pairs]
    return time.perf_counter() - began, scores


def main() -> None:
    pairs = make_pairs()
    for is_stemmed in (False, True):
        for kinds in CHOICES:
            ratios, ours = [], 0.0
            for _ in range(ROUNDS):
                theirs, expected = measure(RougeScorer(kinds, use_stemmer=is_stemmed).score, pairs)
                ours, found = measure(Rouge(kinds, is_stemmed=is_stemmed).score, pairs)
                assert found == expected, "the digits differ"
                ratios.append(theirs / ours)
            told = f"{', '.join(kinds):24} {'stemmed' if is_stemmed else 'plain':8}"
            print(f"{told} {statistics.median(ratios):6.1f}x, {PAIRS / ours:6.0f} pairs/s, equal digits")


if __name__ == "__main__":
    main()
