"""Vectors of words and of documents as a product.

    vectors.npy              (V, D) float32, a row for each word
    words.parquet            word and count on the train side, in the order of the rows
    document_vectors.npy     (N, D) float32, a row for each document of the three sides
    documents.parquet        id, side, words with a vector, in the order of the rows

A document's vector is the mean of its words' vectors, each weighted by a / (a + p), p its share of the train
side's words; then the direction that the train side's documents have most in common is taken out (Arora et
al. 2017). Words, shares and the common direction come from the train side alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmcore.config import SettingsError
from lmcore.corpus.analysis.settings import SkipGramConfig
from lmcore.corpus.analysis.skip_gram import Vectors, train_skip_gram
from lmcore.corpus.analysis.words import number_words, words_of
from lmcore.corpus.document import Document, Facts, read
from lmcore.corpus.ledger import SIDES

SMOOTHING = 1e-3
"""The a of the weights."""
WORDS, DOCUMENTS = "words.parquet", "documents.parquet"
VECTORS, DOCUMENT_VECTORS = "vectors.npy", "document_vectors.npy"

Progress = Callable[[int, int, float], None]


def embed_corpus(corpus: Path, out: Path, config: SkipGramConfig, progress: Progress | None = None) -> Facts:
    """Learn word vectors from the train side, and with them a vector for each document; fill `out`.

    Raises:
        ValueError: `corpus` is no corpus folder, or its train side has too little text.
    """
    texts = number_words(
        (row.text for row in read(corpus / "train.parquet", Document, ["text"])), config.min_count
    )
    trained = train_skip_gram(texts, config, progress)
    np.save(out / VECTORS, trained.vectors)
    _write(out / WORDS, {"word": texts.words, "count": texts.counts})
    weigh = DocumentWeighing(texts.words, texts.counts, trained.vectors)
    documents = _embed_documents(corpus, out, weigh, config.remove_first_component)
    return {
        "words": len(texts.words),
        "trained_on_words": len(texts.tokens),
        "pairs": trained.num_pairs,
        "documents": documents,
        "first_loss": trained.losses[0],
        "last_loss": trained.losses[-1],
    }


@dataclass(frozen=True)
class DocumentWeighing:
    """Makes a document's vector of those of its words."""

    words: Sequence[str]
    counts: NDArray[np.int64]
    vectors: Vectors

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        return SMOOTHING / (SMOOTHING + self.counts / self.counts.sum())

    def __call__(self, text: str) -> tuple[NDArray[np.float64], int]:
        """(the weighted mean (D,), zeros for a text without a known word; how many known words it has)."""
        found = map(self._numbers.get, words_of(text))
        numbers = np.array([number for number in found if number is not None], np.int64)
        if not len(numbers):
            return np.zeros(self.vectors.shape[1]), 0
        # Each word once, in a fixed order: a sum that no threads share.
        known, occurrences = np.unique(numbers, return_counts=True)
        shares = self._weights[known] * occurrences / len(numbers)
        return (shares[:, None] * self.vectors[known]).sum(axis=0), len(numbers)


def without_first_component(means: NDArray[np.float64], train: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Take out of all rows the direction in which the rows of the train side lie most, (N, D) as given.

    It is the first right singular vector of these rows, not centred.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        learned = means[train]
        common = np.linalg.eigh(learned.T @ learned)[1][:, -1]  # (D,), its sign does not matter
        return means - np.outer(means @ common, common)


def _embed_documents(corpus: Path, out: Path, weigh: DocumentWeighing, remove_first: bool) -> int:
    ids, sides, known, means = [], [], [], []
    for side in SIDES:
        for document in read(corpus / f"{side}.parquet", Document, ["id", "text"]):
            mean, number = weigh(document.text)
            ids.append(document.id)
            sides.append(side)
            known.append(number)
            means.append(mean)
    rows = np.array(means)
    if remove_first:
        rows = without_first_component(rows, np.array([side == "train" for side in sides]))
    np.save(out / DOCUMENT_VECTORS, rows.astype(np.float32))
    _write(out / DOCUMENTS, {"id": ids, "side": sides, "words": known})
    return len(ids)


def _write(path: Path, columns: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path, compression="zstd")


@dataclass(frozen=True)
class Embeddings:
    """The product, opened; vectors are mapped, not read."""

    folder: Path

    @cached_property
    def vectors(self) -> Vectors:
        """(V, D)"""
        return np.load(self.folder / VECTORS, mmap_mode="r")

    @cached_property
    def document_vectors(self) -> Vectors:
        """(N, D)"""
        return np.load(self.folder / DOCUMENT_VECTORS, mmap_mode="r")

    @cached_property
    def words(self) -> list[str]:
        """(V,)"""
        return self._column(WORDS, "word")

    @cached_property
    def counts(self) -> list[int]:
        """(V,)"""
        return self._column(WORDS, "count")

    @cached_property
    def documents(self) -> list[str]:
        """Ids, (N,)."""
        return self._column(DOCUMENTS, "id")

    def of_words(self, words: Sequence[str]) -> Vectors:
        """A row for each word, (W, D).

        Raises:
            SettingsError: a word has no vector.
        """
        return self.vectors[[self._number(word.lower()) for word in words]]

    def of_document(self, id: str) -> Vectors:
        """Its vector, (D,).

        Raises:
            SettingsError: it is on no side of the corpus, or none of its words has a vector.
        """
        if id not in self.documents:
            raise SettingsError(f"{id} has no vector: it was rejected, so it is on no side of the corpus")
        vector = self.document_vectors[self.documents.index(id)]
        if not vector.any():
            raise SettingsError(
                f"none of the words of {id} has a vector: they are too rare on the train side"
            )
        return vector

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def _number(self, word: str) -> int:
        if word not in self._numbers:
            near = get_close_matches(word, self.words, n=3)
            meant = f" Did you mean {', '.join(near)}?" if near else ""
            least = self.counts[-1]
            raise SettingsError(
                f"'{word}' has no vector: on the train side it occurs less than {least:,} times.{meant}"
            )
        return self._numbers[word]

    def _column(self, file: str, column: str) -> list[Any]:
        import pyarrow.parquet as pq

        values: list[Any] = pq.read_table(self.folder / file, columns=[column])[column].to_pylist()
        return values
