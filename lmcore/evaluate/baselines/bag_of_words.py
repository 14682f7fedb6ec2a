"""Words without their order: a linear classifier, and the nearest question.

Settings are fixed: words of letters and digits in lower case, one of each that a question has (binary
features), logistic regression with an L2 penalty of strength C = 1; for the nearest question, counts weighted
by rarity (tf-idf) and the cosine. All is fitted on the train side alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from lmcore.conversations.records import Record
from lmcore.corpus.analysis.bag_of_words import WORDS, WordClassifier


def bag_of_words(train: Sequence[Record], asked: Sequence[Record], seed: int = 0) -> list[str]:
    """Logistic regression from the words of a question to its answer; the one answer if there is only one."""
    answers = [record.answer for record in train]
    if len(set(answers)) == 1:
        return answers[:1] * len(asked)
    return WordClassifier("binary").fit(_questions(train), answers).predict(_questions(asked))


def nearest_question(train: Sequence[Record], asked: Sequence[Record], seed: int = 0) -> list[str]:
    """The answer of the train side's question with the most in common; of several the first."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(**WORDS)
    known = vectorizer.fit_transform(_questions(train))
    nearness = (vectorizer.transform(_questions(asked)) @ known.T).toarray()  # cosines: rows have length 1
    return [train[int(place)].answer for place in nearness.round(12).argmax(axis=1)]


def _questions(records: Sequence[Record]) -> list[str]:
    return [record.question for record in records]
