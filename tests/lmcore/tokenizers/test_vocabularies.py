"""Every kind of vocabulary is lossless, has the first ids in common, and loads elsewhere with equal ids."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from lmcore.tokenizers.control import CONTROL_TOKENS
from lmcore.tokenizers.settings import SMALLEST_VOCABULARY, TokenizerConfig
from lmcore.tokenizers.tokenizer import Tokenizer
from lmcore.tokenizers.training import train_tokenizer
from lmcore.tokenizers.vocabularies import vocabularies

KINDS = vocabularies.names()
TEXTS = ["the naïve cat and the naïve 漢字 mat", "the cat's café: naïve 漢 漢 👩\u200d🚀", "a b c d e"] * 3
ANY_TEXT = st.text(st.one_of(st.sampled_from("the cat ïé漢字"), st.characters(exclude_categories=["Cs"])))
SPELLS_CONTROL = st.lists(st.one_of(st.sampled_from([*CONTROL_TOKENS, "<|", "|>"]), ANY_TEXT)).map("".join)


@pytest.fixture(scope="module")
def folders(write_corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabularies")
    corpus = write_corpus(folder / "corpus", train=TEXTS, test=TEXTS[:2])
    for kind in KINDS:
        config = TokenizerConfig.model_validate({"vocabulary": kind, "vocab_size": 272})
        train_tokenizer(corpus, folder / kind, config)
    return folder


@pytest.fixture(scope="module")
def opened(folders):
    loaded = {kind: Tokenizer.load(folders / kind) for kind in KINDS}
    return {kind: (loaded[kind], AutoTokenizer.from_pretrained(folders / kind)) for kind in KINDS}


def learned(folder):
    vocab = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    tokens = sorted(vocab, key=vocab.get)
    assert tuple(tokens[: len(CONTROL_TOKENS)]) == CONTROL_TOKENS
    return Tokenizer.load(folder), range(SMALLEST_VOCABULARY, len(tokens))


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.one_of(ANY_TEXT, SPELLS_CONTROL))
@settings(max_examples=100)
def test_any_text_comes_back_with_the_ids_that_transformers_gives_and_no_control_token(opened, kind, text):
    tokenizer, reference = opened[kind]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert reference(text, split_special_tokens=True).input_ids == ids
    assert not set(ids) & set(tokenizer.control_ids.values())
    assert tokenizer.encode_documents([text])[0].tolist() == [*ids, tokenizer.eos_id]
    assert tokenizer.token_bytes[np.array(ids, dtype=int)].sum() == len(text.encode())


def test_bytes_are_a_vocabulary_without_anything_learned(folders):
    tokenizer, more = learned(folders / "byte")
    assert len(more) == 0
    assert len(tokenizer.encode("naïve 漢")) == len("naïve 漢".encode())


def test_characters_are_learned_by_count_and_then_by_their_bytes(folders):
    tokenizer, more = learned(folders / "character")
    expected = ["ï", "漢", "é", "\u200d", "字", "👩", "🚀"]  # 9 times, 9, and 3 each
    assert [tokenizer.decode([number]) for number in more] == expected
    assert len(tokenizer.encode("naïve 漢")) == 7
    assert len(tokenizer.encode("ü")) == 2


def test_words_are_learned_by_count_and_then_by_their_bytes(folders):
    tokenizer, more = learned(folders / "word")
    expected = [" naïve", " cat", " 漢", "the", " and", " b", " c", " café"]  # 9 times, 6 each, 3 each
    assert [tokenizer.decode([number]) for number in more] == expected
    assert len(tokenizer.encode("the cat")) == 2
    assert tokenizer.decode(tokenizer.encode("the dog")) == "the dog"


def test_a_rare_word_is_not_taken(write_corpus, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", train=["one two two three three three"])
    config = TokenizerConfig.model_validate({"vocabulary": "word", "min_frequency": 2})
    train_tokenizer(corpus, tmp_path / "out", config)
    tokenizer, more = learned(tmp_path / "out")
    assert [tokenizer.decode([number]) for number in more] == [" three", " two"]


def test_counts_on_disk_give_the_same_vocabulary(monkeypatch):
    config = TokenizerConfig.model_validate({"vocabulary": "word", "vocab_size": 268})
    expected = config.vocabulary.build()(iter(TEXTS), config)
    monkeypatch.setattr("lmcore.tokenizers.pieces.BLOCK_CHARACTERS", 30)
    spilling = config.model_copy(update={"memory_bytes": 1})
    assert config.vocabulary.build()(iter(TEXTS), spilling) == expected


def test_an_unknown_kind_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"no vocabulary named 'words'. Did you mean 'word'\?"):
        TokenizerConfig.model_validate({"vocabulary": "words"})
