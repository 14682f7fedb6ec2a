"""Words without their order: a linear classifier, and the nearest question.

Settings are fixed: words of letters and digits in lower case, one of each that a question has (binary
features), logistic regression with an L2 penalty of strength C = 1; for the nearest question, counts weighted
by rarity (tf-idf) and the cosine. All is fitted on the train side alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from lmcore.conversations.records import Record

WORDS: dict[str, Any] = {"lowercase": True, "token_pattern": r"(?u)\w+"}
PENALTY, MOST_STEPS = 1.0, 1_000


def bag_of_words(train: Sequence[Record], asked: Sequence[Record], seed: int = 0) -> list[str]:
    """Logistic regression from the words of a question to its answer; the one answer if there is only one."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    answers = [record.answer for record in train]
    if len(set(answers)) == 1:
        return answers[:1] * len(asked)
    vectorizer = CountVectorizer(binary=True, **WORDS)
    classifier = LogisticRegression(C=PENALTY, max_iter=MOST_STEPS)
    # Sums that are split over threads round differently for each number of them.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(vectorizer.fit_transform(_questions(train)).astype(np.float64), answers)
        found = classifier.predict(vectorizer.transform(_questions(asked)).astype(np.float64))
    return [str(answer) for answer in found]


def nearest_question(train: Sequence[Record], asked: Sequence[Record], seed: int = 0) -> list[str]:
    """The answer of the train side's question with the most in common; of several the first."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(**WORDS)
    known = vectorizer.fit_transform(_questions(train))
    nearness = (vectorizer.transform(_questions(asked)) @ known.T).toarray()  # cosines: rows have length 1
    return [train[int(place)].answer for place in nearness.round(12).argmax(axis=1)]


def _questions(records: Sequence[Record]) -> list[str]:
    return [record.question for record in records]
