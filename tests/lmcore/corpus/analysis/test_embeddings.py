"""Vectors as a product: what lies in the folder, documents' vectors by hand, and what is looked up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lmcore.config import SettingsError
from lmcore.corpus.analysis.embeddings import (
    DocumentWeighing,
    Embeddings,
    embed_corpus,
    without_first_component,
)
from lmcore.corpus.analysis.settings import SkipGramConfig
from lmcore.corpus.document import Document, digest_of, write

CONFIG = SkipGramConfig(width=12, min_count=2, epochs=2, subsample=1.0)
SIDES = {
    "train": ["one fish two fish red fish blue fish " * 8, "the sun did not shine it was too wet " * 8] * 3,
    "validation": ["fish in the sun"],
    "test": ["Unknown gibberish", "too wet to play"],
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for side, texts in SIDES.items():
        rows = [
            Document(f"s/{side}#{n}", "s", side, n, "", text, digest_of(text)) for n, text in enumerate(texts)
        ]
        write(folder / f"{side}.parquet", Document, rows)
    return folder


@pytest.fixture(scope="module")
def made(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Embeddings, dict]:
    folder = tmp_path_factory.mktemp("embeddings")
    facts = embed_corpus(corpus, folder, CONFIG)
    return Embeddings(folder), dict(facts)


def test_the_folder_holds_a_row_for_each_word_and_each_document(made):
    found, facts = made
    assert facts["words"] == len(found.words) == len(found.vectors) == 14
    assert (found.words[0], found.counts[0]) == ("fish", 4 * 8 * 3)
    assert "unknown" not in found.words  # on the test side alone
    assert facts["documents"] == len(found.documents) == len(found.document_vectors) == 9
    table = pq.read_table(found.folder / "documents.parquet").to_pydict()
    assert table["side"] == ["train"] * 6 + ["validation"] + ["test"] * 2
    assert table["words"][-3:] == [3, 0, 2]
    assert found.vectors.dtype == found.document_vectors.dtype == np.float32


def test_a_look_up_is_one_hot_times_the_matrix_bit_for_bit(made):
    found, _ = made
    words = ["sun", "fish", "FISH", "wet"]
    one_hot = np.zeros((4, len(found.words)), np.float32)
    one_hot[range(4), [found.words.index(word.lower()) for word in words]] = 1
    assert found.of_words(words).tobytes() == (one_hot @ np.asarray(found.vectors)).tobytes()


def test_a_document_is_the_weighted_mean_of_its_words():
    vectors = np.array([[1, 0], [0, 2], [4, 4]], np.float32)
    weigh = DocumentWeighing(["a", "b", "c"], np.array([900, 99, 1]), vectors)
    rare, common = 1e-3 / (1e-3 + 0.001), 1e-3 / (1e-3 + 0.9)
    mean, known = weigh("A c, a; nothing")
    assert known == 3
    assert mean == pytest.approx((2 * common * vectors[0] + rare * vectors[2]) / 3)
    zeros, none = weigh("nothing here")
    assert (zeros.tolist(), none) == ([0.0, 0.0], 0)


def test_the_first_component_is_that_of_the_train_side_as_scikit_learn_finds_it():
    from sklearn.decomposition import TruncatedSVD

    random = np.random.RandomState(0)
    rows = random.standard_normal((60, 5)) + np.array([3, 1, 0, 0, 0])
    is_train = np.arange(60) < 40
    common = TruncatedSVD(1, algorithm="arpack", random_state=0).fit(rows[is_train]).components_[0]
    found = without_first_component(rows, is_train)
    assert found == pytest.approx(rows - np.outer(rows @ common, common), abs=1e-9)
    assert np.abs(found @ common).max() < 1e-9


def test_the_same_corpus_makes_the_same_bytes_and_the_component_may_stay(corpus: Path, made, tmp_path: Path):
    again, other = tmp_path / "again", tmp_path / "other"
    for folder in (again, other):
        folder.mkdir()
    embed_corpus(corpus, again, CONFIG)
    names = sorted(path.name for path in again.iterdir())
    assert names == ["document_vectors.npy", "documents.parquet", "vectors.npy", "words.parquet"]
    assert all((again / name).read_bytes() == (made[0].folder / name).read_bytes() for name in names)
    embed_corpus(corpus, other, CONFIG.model_copy(update={"remove_first_component": False}))
    changed = {name for name in names if (again / name).read_bytes() != (other / name).read_bytes()}
    assert changed == {"document_vectors.npy"}


def test_what_has_no_vector_is_told_with_what_may_have_been_meant(made):
    found, _ = made
    with pytest.raises(SettingsError, match=r"'fisch' has no vector.*less than 24 times. Did you mean fish"):
        found.of_words(["fisch"])
    with pytest.raises(SettingsError, match="none of the words of s/test#0 has a vector"):
        found.of_document("s/test#0")
    with pytest.raises(SettingsError, match="s/gone#1 has no vector: it was rejected"):
        found.of_document("s/gone#1")


def test_a_folder_that_is_no_corpus_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"train\.parquet.*expected a Parquet file of the type Document"):
        embed_corpus(tmp_path, tmp_path, CONFIG)
