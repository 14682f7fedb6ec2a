"""The parity gate: ids are those of `tokenizers`, bit for bit, whatever is remembered."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.tokenizers import encoder
from lmcore.tokenizers.bpe import train
from lmcore.tokenizers.control import CONTROL_TOKENS, END_OF_TEXT
from lmcore.tokenizers.encoder import PieceEncoder
from lmcore.tokenizers.patterns import PATTERNS
from lmcore.tokenizers.settings import TokenizerConfig
from lmcore.tokenizers.tokenizer import Tokenizer, TokenizerError

RULES = sorted(PATTERNS)
LEARN_FROM = [
    "the cat's 1234 mats aren't there\n\n  and I'LL say naïve things about 漢字 and кошка кошка"
] * 9
TRICKY = [
    "",
    "a",
    "the the the cat",
    "nothing " * 300 + "then",
    "x" * 40_000,
    "1234567890" * 3_000,
    "NUL \0 and \0\0",
    "é e\u0301",
    "👩\u200d🚀👩\u200d🚀",
    "one\r\ntwo\r\n\r\n  three",
    "supercalifragilisticexpialidocious and floccinaucinihilipilification " * 3,
    "в начале было слово, и слово было у бога",
    "吾輩は猫である。名前はまだ無い。",
    *CONTROL_TOKENS,
    "<|endoftext|><|im_start|>user\n" * 3,
]
ANY_TEXT = st.text(st.one_of(st.sampled_from("the cat's 12\n ,"), st.characters(exclude_categories=["Cs"])))


@pytest.fixture(scope="module")
def documents():
    return {
        rule: train(iter(LEARN_FROM), TokenizerConfig(vocab_size=300, pre_tokenizer=rule)) for rule in RULES
    }


def expected(document, texts):
    reference = tokenizers.Tokenizer.from_str(json.dumps(document))
    reference.encode_special_tokens = True
    encoded = reference.encode_batch_fast(texts, add_special_tokens=False)
    return [number for each in encoded for number in (*each.ids, 0)], [len(each.ids) + 1 for each in encoded]


def found(ours, texts):
    ids, lengths = ours.encode(texts)
    return ids.tolist(), lengths.tolist()


@pytest.mark.parametrize("rule", RULES)
def test_ids_are_those_of_tokenizers_at_the_first_and_at_every_later_time(documents, rule):
    ours = PieceEncoder(documents[rule], 0)
    for texts in (TRICKY, TRICKY, TRICKY[::-1], [], [""], ["", ""]):
        assert found(ours, texts) == expected(documents[rule], texts)


@given(texts=st.lists(ANY_TEXT, max_size=6), rule=st.sampled_from(RULES), repeats=st.integers(1, 3))
@settings(max_examples=200)
def test_ids_of_any_texts_are_those_of_tokenizers(documents, texts, rule, repeats):
    ours = PieceEncoder(documents[rule], 0)
    for _ in range(repeats):
        assert found(ours, texts * repeats) == expected(documents[rule], texts * repeats)


def test_ids_are_the_same_when_little_is_remembered_and_blocks_are_short(documents, monkeypatch):
    monkeypatch.setattr(encoder, "MEMORY_BYTES", 60_000)
    monkeypatch.setattr("lmcore.tokenizers.pieces.BLOCK_CHARACTERS", 300)
    ours = PieceEncoder(documents["gpt2"], 0)
    for _ in range(2):
        assert found(ours, TRICKY) == expected(documents["gpt2"], TRICKY)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_ids_are_the_same_where_remembering_pays_always_or_never(documents, monkeypatch, share):
    monkeypatch.setattr(encoder, "NEW_SHARE", share)
    monkeypatch.setattr("lmcore.tokenizers.pieces.BLOCK_CHARACTERS", 300)
    ours = PieceEncoder(documents["gpt4"], 0)
    texts = ["never seen before: " + " ".join(TRICKY), *TRICKY]
    assert found(ours, texts) == expected(documents["gpt4"], texts)


def test_threads_that_share_an_encoder_get_the_same_ids(documents):
    texts = [
        f"{word} {number} the cat's {number % 97}" for number, word in enumerate(LEARN_FROM[0].split() * 60)
    ]
    batches = [texts[first::8] for first in range(8)]
    ours = PieceEncoder(documents["gpt2"], 0)
    with ThreadPoolExecutor(4) as workers:
        results = list(workers.map(lambda batch: found(ours, batch), batches * 3))
    assert results == [expected(documents["gpt2"], batch) for batch in batches] * 3


@pytest.mark.parametrize(
    "change",
    [
        {"normalizer": {"type": "NFC"}},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {
            "pre_tokenizer": {
                "type": "ByteLevel",
                "add_prefix_space": True,
                "trim_offsets": True,
                "use_regex": True,
            }
        },
        {"pre_tokenizer": None},
    ],
)
def test_a_tokenizer_with_a_rule_of_its_own_is_left_to_tokenizers(documents, change):
    document = documents["gpt2"] | change
    assert not PieceEncoder.is_known(document)
    texts = [text for text in TRICKY if text]
    ids, lengths = Tokenizer(document, END_OF_TEXT).encode_documents(texts)
    assert (ids.tolist(), lengths.tolist()) == expected(document, texts)


def test_words_that_a_tokenizer_adds_to_its_vocabulary_leave_it_to_tokenizers(documents):
    added = {"id": 300, "content": "zebra", "special": False, "single_word": False, "lstrip": False}
    added |= {"rstrip": False, "normalized": False}
    document = documents["gpt2"] | {"added_tokens": [*documents["gpt2"]["added_tokens"], added]}
    assert not PieceEncoder.is_known(document)
    assert 300 in Tokenizer(document, END_OF_TEXT).encode_documents(["the zebra"])[0]


def test_documents_of_a_tokenizer_end_with_its_end_of_text(documents):
    tokenizer = Tokenizer(documents["gpt2"], "<|im_end|>")
    ids, lengths = tokenizer.encode_documents(["the", "", "cat cat"])
    assert lengths.tolist() == [len(tokenizer.encode(text)) + 1 for text in ("the", "", "cat cat")]
    assert ids[lengths.cumsum() - 1].tolist() == [2, 2, 2]


def test_half_a_surrogate_pair_in_a_document_is_refused_with_its_place(documents):
    with pytest.raises(TokenizerError, match="character 2 has no UTF-8 form"):
        Tokenizer(documents["gpt2"], END_OF_TEXT).encode_documents(["fine", "ab\ud800"])
