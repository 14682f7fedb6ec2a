"""ROUGE (Lin 2004): how much of a reference a text says, by n-grams and by longest common subsequences.

Digit for digit what the `rouge-score` package gives, which replicates ROUGE-1.5.5, and faster: subsequences
are found by bit-parallel arithmetic, and each word is stemmed once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from lmcore.evaluate.metrics.lcs import lcs_indices, lcs_length
from lmcore.evaluate.metrics.tokens import Stems, Tokenizer, find_words

Tokens = list[str]


class Score(NamedTuple):
    """What of the hypothesis is in the reference, what of the reference is in it, and their harmonic mean."""

    precision: float
    recall: float
    f: float


class Rouge:
    """Scores hypotheses against references; keep it for many pairs, since it remembers the stem of each word.

    Kinds are `rouge1` to `rouge9` (n-grams), `rougeL` (a text is one run of words) and `rougeLsum` (each line
    is a sentence; a reference sentence counts what any hypothesis sentence has of it).
    """

    def __init__(
        self,
        kinds: Sequence[str] = ("rouge1", "rouge2", "rougeL"),
        *,
        is_stemmed: bool = False,
        tokenizer: Tokenizer = "ascii",
    ) -> None:
        """Set what is measured: `is_stemmed` counts words of one stem (English, Porter) as the same.

        Raises:
            ValueError: a kind that is not known.
        """
        for kind in kinds:
            if kind not in ("rougeL", "rougeLsum") and kind not in NGRAM_KINDS:
                known = f"{', '.join(NGRAM_KINDS)}, rougeL, rougeLsum"
                raise ValueError(f"no ROUGE of the kind {kind!r}; expected one of {known}")
        self.kinds = tuple(kinds)
        self._find_words = find_words(tokenizer)
        self._stems = Stems() if is_stemmed else None

    def score(self, reference: str, hypothesis: str) -> dict[str, Score]:
        """Every kind's score of one pair; without a word on either side it is 0."""
        wanted, given = self._tokens(reference), self._tokens(hypothesis)
        scores = {}
        for kind in self.kinds:
            if kind == "rougeL":
                scores[kind] = _score(lcs_length(wanted, given), len(given), len(wanted))
            elif kind == "rougeLsum":
                scores[kind] = _score_summary(self._lines(reference), self._lines(hypothesis))
            else:
                scores[kind] = _score_ngrams(wanted, given, NGRAM_KINDS[kind])
        return scores

    def best(self, references: Sequence[str], hypothesis: str) -> dict[str, Score]:
        """Every kind's score against that of several references which gives the largest F.

        Raises:
            ValueError: no references.
        """
        if not references:
            raise ValueError("no reference to score against; expected one or more")
        scores = [self.score(reference, hypothesis) for reference in references]
        return {kind: max((score[kind] for score in scores), key=lambda each: each.f) for kind in self.kinds}

    def _tokens(self, text: str) -> Tokens:
        words = self._find_words(text)
        return words if self._stems is None else list(map(self._stems.__getitem__, words))

    def _lines(self, text: str) -> list[Tokens]:
        return [self._tokens(line) for line in text.split("\n") if line]


NGRAM_KINDS = {f"rouge{n}": n for n in range(1, 10)}


def _score(shared: int, num_given: int, num_wanted: int) -> Score:
    precision, recall = shared / max(num_given, 1), shared / max(num_wanted, 1)
    if not shared:
        return Score(precision, recall, 0.0)
    return Score(precision, recall, 2 * precision * recall / (precision + recall))


def _score_ngrams(wanted: Tokens, given: Tokens, n: int) -> Score:
    left = dict(Counter(_ngrams(wanted, n)))  # a plain dict is looked up faster
    shared = 0
    for ngram in _ngrams(given, n):
        if ngram in left and (number := left[ngram]):
            left[ngram] = number - 1
            shared += 1
    return _score(shared, max(len(given) - n + 1, 0), max(len(wanted) - n + 1, 0))


def _ngrams(tokens: Tokens, n: int) -> Iterable[Hashable]:
    return tokens if n == 1 else zip(*(tokens[start:] for start in range(n)), strict=False)


def _score_summary(wanted: list[Tokens], given: list[Tokens]) -> Score:
    """Each token of the union of subsequences is a hit, as often as both sides still have it left."""
    left_wanted, left_given = Counter(chain(*wanted)), Counter(chain(*given))
    hits = 0
    for sentence in wanted:
        union = set(chain(*(lcs_indices(sentence, other) for other in given)))
        for token in (sentence[place] for place in union):
            if left_given[token] > 0 and left_wanted[token] > 0:
                hits += 1
                left_given[token] -= 1
                left_wanted[token] -= 1
    return _score(hits, sum(map(len, given)), sum(map(len, wanted)))
