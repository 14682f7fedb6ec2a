"""Bag of words beside numbers worked out by hand and scikit-learn's own pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lmcore.config import SettingsError
from lmcore.corpus.analysis import classify
from lmcore.corpus.analysis.bag_of_words import TooManyWeightsError, WordClassifier
from lmcore.corpus.analysis.classify import classify_documents
from lmcore.corpus.analysis.words import number_words, words_of
from lmcore.corpus.document import Document, digest_of, write

TRAIN = ["The cat saw the dog.", "A dog, a dog!", "The ship sails", "Ships sail; the ship sank."]
LABELS = ["pets", "pets", "sea", "sea"]
SEA = ["the ship and the gull", "a gull on the ship", "the sail of the ship", "ship after ship"]
LAND = ["the plough and the horse", "a horse by the plough", "the field of the horse", "horse after horse"]


def make_corpus(folder: Path, **sides: dict[str, list[str]]) -> Path:
    for side in ("train", "validation", "test"):
        rows = [
            Document(f"{source}/{side}.txt#{n}", source, f"{side}.txt", n, "", text, digest_of(text))
            for source, texts in sides.get(side, {}).items()
            for n, text in enumerate(texts, start=1)
        ]
        write(folder / f"{side}.parquet", Document, rows)
    return folder


def test_features_are_those_counted_by_hand():
    words = ["a", "cat", "dog", "sail", "sails", "sank", "saw", "ship", "ships", "the"]
    counts = WordClassifier("counts").fit(TRAIN, LABELS)
    assert counts.features == words
    # a cat dog sail sails sank saw ship ships the
    by_hand = [
        [0, 1, 1, 0, 0, 0, 1, 0, 0, 2],
        [2, 0, 2, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 0, 0, 1, 0, 1],
        [0, 0, 0, 1, 0, 1, 0, 1, 1, 1],
    ]
    assert counts.count(TRAIN).toarray().tolist() == by_hand
    binary = WordClassifier("binary").fit(TRAIN, LABELS)
    assert binary.count(TRAIN).toarray().tolist() == np.minimum(by_hand, 1).tolist()


def test_bigrams_are_pairs_of_neighbours_beside_the_words():
    bigrams = WordClassifier("bigrams").fit(TRAIN, LABELS)
    pairs = [feature for feature in bigrams.features if " " in feature]
    assert pairs == [
        "a dog", "cat saw", "dog a", "sail the", "saw the", "ship sails", "ship sank", "ships sail",
        "the cat", "the dog", "the ship",
    ]  # fmt: skip
    assert len(bigrams.features) == 10 + len(pairs)


def test_rare_words_are_left_out_and_only_the_most_frequent_kept():
    assert WordClassifier("counts", min_documents=2).fit(TRAIN, LABELS).features == ["dog", "ship", "the"]
    assert WordClassifier("counts", max_features=2).fit(TRAIN, LABELS).features == ["dog", "the"]


def test_words_of_other_texts_are_no_features():
    classifier = WordClassifier("counts").fit(TRAIN, LABELS)
    features = classifier.features
    assert classifier.count(["gulls, dog and gulls"]).sum() == 1
    assert classifier.predict(["gulls dog"]) == ["pets"]
    assert classifier.features == features


def test_both_kinds_of_analysis_cut_the_same_words():
    texts = ["Don't stop: the café's 2nd room_3 – ÉTÉ", "«ἐν ἀρχῇ» 日本"]
    classifier = WordClassifier("counts").fit([*texts, "other"], ["x", "x", "y"])
    assert set(classifier.features) == {word for text in [*texts, "other"] for word in words_of(text)}


@pytest.mark.parametrize("features", ["binary", "counts", "bigrams"])
def test_it_predicts_what_scikit_learn_does_where_one_fits_it_oneself(features):
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler

    random = np.random.RandomState(0)
    words = [f"w{n}" for n in range(40)]
    texts, labels = [], []
    for label in "abc" * 30:
        shares = np.roll(1.0 / np.arange(1, 41), 5 * ord(label))
        texts.append(" ".join(random.choice(words, 12, p=shares / shares.sum())))
        labels.append(label)
    vectorizer = CountVectorizer(
        token_pattern=r"\w+", binary=features == "binary", ngram_range=(1, 1 + (features == "bigrams"))
    )
    reference = make_pipeline(vectorizer, MaxAbsScaler(), LogisticRegression(max_iter=1000))
    reference.fit(texts[:60], labels[:60])
    found = WordClassifier(features).fit(texts[:60], labels[:60]).predict(texts[60:])
    assert found == reference.predict(texts[60:]).tolist()
    assert len({*found}) == 3


def test_telling_words_are_those_that_stand_in_one_class_alone():
    telling = WordClassifier("binary").fit(SEA + LAND, ["sea"] * 4 + ["land"] * 4).telling_words(3)
    assert telling["sea"][0].word == "ship"
    assert telling["land"][0].word == "horse"
    assert telling["sea"][0].weight > telling["sea"][1].weight > 0
    of_three = WordClassifier("binary").fit(SEA + LAND + ["star"] * 4, ["s"] * 4 + ["l"] * 4 + ["a"] * 4)
    assert {label: words[0].word for label, words in of_three.telling_words(1).items()} == {
        "s": "ship", "l": "horse", "a": "star",
    }  # fmt: skip


def test_a_corpus_is_learned_on_train_and_measured_on_test_beside_the_majority(tmp_path: Path):
    test = {"sea": ["a ship", "the ship again", "one horse"], "land": ["a horse"]}
    corpus = make_corpus(tmp_path, train={"sea": SEA, "land": LAND[:3]}, test=test)
    result = classify_documents(corpus, min_documents=1)
    assert (result.num_train, result.num_test) == (7, 4)
    assert result.classes == ["land", "sea"]
    assert result.confusion == [[1, 0], [1, 2]]
    assert result.accuracy == 0.75
    assert result.macro_f1 == pytest.approx((2 / 3 + 0.8) / 2)  # land: 2*1/(2+1), sea: 2*2/(2*2+1)
    assert (result.majority, result.majority_accuracy) == ("sea", 0.75)
    assert result.majority_macro_f1 == pytest.approx((0 + 6 / 7) / 2)
    assert (round(result.low, 3), round(result.high, 3)) == (0.301, 0.954)  # Wilson's interval of 3 in 4


def test_words_of_the_test_side_change_nothing_of_what_is_learned(tmp_path: Path):
    results = []
    for name, word in (("one", "gull"), ("two", "zebra")):
        (tmp_path / name).mkdir()
        corpus = make_corpus(
            tmp_path / name, train={"sea": SEA, "land": LAND}, test={"sea": [f"{word} ship"]}
        )
        results.append(classify_documents(corpus, min_documents=1))
    assert results[0] == results[1]
    assert "zebra" not in {word.word for words in results[1].telling_words.values() for word in words}


def test_what_cannot_be_told_apart_is_one_line(tmp_path: Path):
    with pytest.raises(SettingsError, match="have the same source; tell others apart: --by file"):
        classify_documents(make_corpus(tmp_path, train={"sea": SEA}, test={"sea": SEA}))
    both = {"sea": SEA, "land": LAND}
    with pytest.raises(SettingsError, match="the test side has no document"):
        classify_documents(make_corpus(tmp_path, train=both))
    with pytest.raises(SettingsError, match="no word is in 99 documents of the train side"):
        classify_documents(make_corpus(tmp_path, train=both, test=both), min_documents=99)
    with pytest.raises(SettingsError, match="no source has documents on the train side and on the test side"):
        classify_documents(make_corpus(tmp_path, train=both, test={"air": SEA}))


def test_more_weights_than_memory_is_for_are_refused_with_the_cure(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(classify, "MOST_WEIGHTS", 20)
    both = {"sea": SEA, "land": LAND}
    with pytest.raises(SettingsError, match=r"2 classes by 1\d features .*; take at most 10 features"):
        classify_documents(make_corpus(tmp_path, train=both, test=both), min_documents=1)
    assert classify_documents(tmp_path, min_documents=1, max_features=10).num_features == 10


def test_weights_are_limited_only_where_that_is_asked_for():
    texts, labels = ["the sea", "the land"], ["sea", "land"]
    with pytest.raises(TooManyWeightsError, match="2 classes by 3 features are 6 weights, more than 5"):
        WordClassifier(most_weights=5).fit(texts, labels)
    assert WordClassifier(most_weights=6).fit(texts, labels).predict(["sea"]) == ["sea"]
    assert WordClassifier().fit(texts, labels).predict(["land"]) == ["land"]


def test_words_are_numbered_by_count_and_then_by_letters():
    texts = number_words(["b a b", "", "c a b d", "d"], min_count=2)
    assert texts.words == ["b", "a", "d"]
    assert texts.counts.tolist() == [3, 2, 2]
    assert texts.tokens.tolist() == [0, 1, 0, 1, 0, 2, 2]
    assert texts.texts.tolist() == [0, 0, 0, 2, 2, 2, 3]
