"""Which source does a text come from, judging by its words alone: learned on train, measured on test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lmcore.config import SettingsError
from lmcore.corpus.analysis.bag_of_words import (
    Features,
    TellingWord,
    TooManyWeightsError,
    WordClassifier,
)
from lmcore.corpus.document import Document, read

Label = Literal["source", "file"]
"""What of a document can be its class."""
MOST_FEATURES = 20_000
MOST_WEIGHTS = 10_000_000
"""Classes times features: learning holds some 150 bytes for each, and goes over all of them in every step."""


@dataclass(frozen=True)
class Classification:
    """How well the words tell classes apart on the test side."""

    classes: list[str]
    num_features: int
    num_train: int
    num_test: int
    accuracy: float
    low: float
    high: float
    """Of the accuracy with 95 % confidence (Wilson's interval)."""
    macro_f1: float
    """Over the classes of the test side and those predicted."""
    majority: str
    """The commonest class on the train side."""
    majority_accuracy: float
    majority_macro_f1: float
    confusion: list[list[int]]
    """(true class, predicted class), in the order of `classes`."""
    telling_words: dict[str, list[TellingWord]]


def classify_documents(
    corpus: Path,
    by: Label = "source",
    features: Features = "binary",
    *,
    min_documents: int = 2,
    max_features: int | None = MOST_FEATURES,
    num_telling: int = 10,
) -> Classification:
    """Fit a classifier on the train side of a corpus and measure it on the test side.

    Raises:
        SettingsError: there is nothing to tell apart, no text to measure on, or more than memory is for.
    """
    labels = _labels(corpus, "train", by)
    wanted = _labels(corpus, "test", by)
    if len(set(labels)) < 2:
        other = "--by file" if by == "source" else "--by source"
        raise SettingsError(f"all documents of the train side have the same {by}; tell others apart: {other}")
    if not wanted:
        raise SettingsError("the test side has no document to measure on; raise split.test_share")
    if not {*labels} & {*wanted}:
        raise SettingsError(
            f"no {by} has documents on the train side and on the test side, so none could be recognised"
            + ("; tell others apart: --by source" if by == "file" else "")
        )
    classifier = WordClassifier(
        features, min_documents=min_documents, max_features=max_features, most_weights=MOST_WEIGHTS
    )
    try:
        classifier.fit(_texts(corpus, "train"), labels)
    except TooManyWeightsError:
        raise
    except ValueError as error:
        raise SettingsError(
            f"no word is in {min_documents:,} documents of the train side; lower --min-documents"
        ) from error
    return _measure(classifier, labels, wanted, classifier.predict(_texts(corpus, "test")), num_telling)


def _measure(
    classifier: WordClassifier, labels: list[str], wanted: list[str], found: list[str], num_telling: int
) -> Classification:
    from scipy.stats import binomtest
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

    counts = Counter(labels)
    majority = min(counts, key=lambda label: (-counts[label], label))
    guessed = [majority] * len(wanted)
    classes = sorted({*classifier.classes, *wanted})
    right = sum(map(str.__eq__, wanted, found))
    interval = binomtest(right, len(wanted)).proportion_ci(method="wilson")
    f1 = {"average": "macro", "zero_division": 0.0}
    return Classification(
        classes=classes,
        num_features=len(classifier.features),
        num_train=len(labels),
        num_test=len(wanted),
        accuracy=right / len(wanted),
        low=float(interval.low),
        high=float(interval.high),
        macro_f1=float(f1_score(wanted, found, **f1)),
        majority=majority,
        majority_accuracy=float(accuracy_score(wanted, guessed)),
        majority_macro_f1=float(f1_score(wanted, guessed, **f1)),
        confusion=confusion_matrix(wanted, found, labels=classes).tolist(),
        telling_words=classifier.telling_words(num_telling),
    )


def _labels(corpus: Path, side: str, by: Label) -> list[str]:
    return [getattr(row, by) for row in read(corpus / f"{side}.parquet", Document, [by])]


def _texts(corpus: Path, side: str) -> Iterator[str]:
    return (row.text for row in read(corpus / f"{side}.parquet", Document, ["text"]))
