"""Words without their order, and a linear classifier on them: the baseline of text classification.

Features are counted by scikit-learn's CountVectorizer and divided by the most that one text of the train side
has of them, so that all are from 0 to 1 (steps downhill are then few); classes are told apart by logistic
regression with an L2 penalty. All is fitted on the train side alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from lmcore.config import SettingsError
from lmcore.corpus.analysis.words import PATTERN

Features = Literal["binary", "counts", "bigrams"]
WORDS: dict[str, Any] = {"lowercase": True, "token_pattern": PATTERN}
"""What scikit-learn is to take for a word."""
MOST_STEPS = 1_000


class TellingWord(NamedTuple):
    """A feature that speaks for a class."""

    word: str
    weight: float


class TooManyWeightsError(SettingsError):
    """Learning would take gigabytes."""


class WordClassifier:
    """Logistic regression from the words of a text to its class.

    Args:
        features: binary (is the word there), counts (how often), bigrams (how often, pairs of neighbouring
            words as well).
        min_documents: a word or pair that is in fewer texts of the train side is no feature.
        max_features: only so many, the most frequent ones.
        penalty: C of scikit-learn; smaller is a stronger penalty.
        most_weights: more classes times features are refused; None: whatever it takes.
    """

    def __init__(
        self,
        features: Features = "binary",
        *,
        min_documents: int = 1,
        max_features: int | None = None,
        penalty: float = 1.0,
        most_weights: int | None = None,
    ) -> None:
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import MaxAbsScaler

        longest = 2 if features == "bigrams" else 1
        self._vectorizer = CountVectorizer(
            binary=features == "binary", ngram_range=(1, longest), min_df=min_documents,
            max_features=max_features, **WORDS,
        )  # fmt: skip
        self._scaler = MaxAbsScaler(copy=False)
        self._classifier = LogisticRegression(C=penalty, max_iter=MOST_STEPS)
        self._most_weights = most_weights

    @property
    def features(self) -> list[str]:
        """The words and pairs, in the order of their letters."""
        return list(self._vectorizer.get_feature_names_out())

    @property
    def classes(self) -> list[str]:
        return [str(each) for each in self._classifier.classes_]

    def count(self, texts: Iterable[str]) -> Any:
        """How often each feature is in each text, sparse (N, F)."""
        return self._vectorizer.transform(texts)

    def fit(self, texts: Iterable[str], labels: Sequence[str]) -> WordClassifier:
        """Learn features and weights.

        Raises:
            TooManyWeightsError: classes times features are more than `most_weights`.
            ValueError: fewer than two classes, or no word in enough texts.
        """
        from threadpoolctl import threadpool_limits

        counts = self._vectorizer.fit_transform(texts)
        if self._most_weights is not None:
            _check_size(len(set(labels)), counts.shape[1], self._most_weights)
        scaled = self._scaler.fit_transform(counts.astype(np.float64))
        # Sums that are split over threads round differently for each number of them.
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of too few steps, of many classes
            self._classifier.fit(scaled, labels)
        return self

    def predict(self, texts: Iterable[str]) -> list[str]:
        """The likeliest class of each text."""
        scaled = self._scaler.transform(self.count(texts).astype(np.float64))
        return [str(each) for each in self._classifier.predict(scaled)]

    def telling_words(self, num: int) -> dict[str, list[TellingWord]]:
        """For each class the features with the largest weights, the largest first."""
        weights = self._classifier.coef_
        if len(weights) == 1:  # of two classes only the second has weights of its own
            weights = np.concatenate([-weights, weights])
        names = self.features
        return {
            label: [
                TellingWord(names[place], float(row[place]))
                for place in np.argsort(-row, kind="stable")[:num]
                if row[place] > 0
            ]
            for label, row in zip(self.classes, weights, strict=True)
        }


def _check_size(num_classes: int, num_features: int, most_weights: int) -> None:
    if num_classes * num_features > most_weights:
        raise TooManyWeightsError(
            f"{num_classes:,} classes by {num_features:,} features are {num_classes * num_features:,} "
            f"weights, more than {most_weights:,}; take at most {most_weights // num_classes:,} features "
            "(--max-features), or larger classes (--by source)"
        )
