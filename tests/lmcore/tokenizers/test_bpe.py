from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import pytest
from tokenizers import pre_tokenizers

from lmcore.tokenizers.bpe import train
from lmcore.tokenizers.control import CONTROL_TOKENS
from lmcore.tokenizers.patterns import PATTERNS, pre_tokenizer
from lmcore.tokenizers.settings import SMALLEST_VOCABULARY, TokenizerConfig
from lmcore.tokenizers.tokenizer import Tokenizer, TokenizerError

TEXTBOOK = ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3
STORY = "She sells sea shells by the sea shore; the shells she sells are sea shells, I'm sure. "


def learn(texts: Iterable[str], num_merges: int, **settings: object) -> list[list[str]]:
    config = TokenizerConfig(vocab_size=SMALLEST_VOCABULARY + num_merges, min_frequency=1, **settings)
    return train(iter(texts), config)["model"]["merges"]


def learn_slowly(texts: Iterable[str], num_merges: int) -> list[list[str]]:
    """Sennrich et al.'s algorithm word for word: recount all pairs after every merge."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    ids = {letter: number for number, letter in enumerate(alphabet)}
    split = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    words = Counter(tuple(word) for text in texts for word, _ in split(text))
    merges = []
    for _ in range(num_merges):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], ids[pair[0]], ids[pair[1]]))
        merges.append(list(best))
        ids.setdefault("".join(best), len(ids))
        words = Counter({merge_once(word, best): count for word, count in words.items()})
    return merges


def merge_once(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    for letter in word:
        if merged and (merged[-1], letter) == pair:
            merged[-1] += letter
        else:
            merged.append(letter)
    return tuple(merged)


def test_the_textbook_corpus_merges_es_then_est():
    assert learn(TEXTBOOK, 2) == [["e", "s"], ["es", "t"]]


def test_merges_are_those_of_the_slow_algorithm_with_ties_to_the_smaller_ids():
    texts = [STORY, STORY.upper(), "naïve café naïve", *TEXTBOOK]
    assert learn(texts, 60) == learn_slowly(texts, 60)


def test_merging_by_rank_by_hand_gives_the_same_tokens():
    document = train(iter([STORY] * 3), TokenizerConfig(vocab_size=SMALLEST_VOCABULARY + 20))
    ids = document["model"]["vocab"]
    expected = []
    for piece, _ in pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(STORY):
        word = tuple(piece)
        for pair in document["model"]["merges"]:
            word = merge_once(word, tuple(pair))
        expected += [ids[letter] for letter in word]
    assert Tokenizer(document, CONTROL_TOKENS[0]).encode(STORY) == expected


def test_control_tokens_have_the_first_ids_and_bytes_the_next():
    document = train(iter(TEXTBOOK), TokenizerConfig(vocab_size=SMALLEST_VOCABULARY + 1))
    by_id = sorted(document["model"]["vocab"], key=document["model"]["vocab"].get)
    assert tuple(by_id[: len(CONTROL_TOKENS)]) == CONTROL_TOKENS
    assert by_id[len(CONTROL_TOKENS) : -1] == sorted(pre_tokenizers.ByteLevel.alphabet())


def test_a_corpus_too_small_for_the_vocabulary_is_refused_with_the_size_reached():
    config = TokenizerConfig(vocab_size=5000, min_frequency=1)
    with pytest.raises(
        TokenizerError, match=r"vocab_size 5000: it gives 2\d\d tokens .* set vocab_size to 2"
    ):
        train(iter(TEXTBOOK), config)


@pytest.mark.parametrize("rule", sorted(PATTERNS))
def test_a_text_that_spells_control_tokens_all_the_time_teaches_no_control_token(rule):
    texts = [f"{name} said {name}" for name in CONTROL_TOKENS] * 50
    config = TokenizerConfig(vocab_size=SMALLEST_VOCABULARY + 20, pre_tokenizer=rule)
    tokenizer = Tokenizer(train(iter(texts), config), CONTROL_TOKENS[0])
    assert not set(tokenizer.encode("".join(texts))) & set(tokenizer.control_ids.values())
    assert tokenizer.decode(tokenizer.encode(texts[0])) == texts[0]


@pytest.mark.parametrize(
    ("rule", "pieces"),
    [
        ("gpt2", ["It", "'s", "Ġ2024", ",", "ĠI", "'", "M", "Ġhere", "ĊĊĠ", "Ġx"]),
        ("gpt4", ["It", "'s", "Ġ", "202", "4", ",", "ĠI", "'M", "Ġhere", "ĊĊ", "Ġ", "Ġx"]),
        ("llama3", ["It", "'s", "Ġ", "202", "4", ",", "ĠI", "'M", "Ġhere", "ĊĊ", "Ġ", "Ġx"]),
        ("qwen2", ["It", "'s", "Ġ", "2", "0", "2", "4", ",", "ĠI", "'M", "Ġhere", "ĊĊ", "Ġ", "Ġx"]),
    ],
)
def test_each_rule_cuts_words_as_its_family_does(rule, pieces):
    cut = pre_tokenizer(rule).pre_tokenize_str("It's 2024, I'M here\n\n  x")
    assert [piece for piece, _ in cut] == pieces


def test_a_vocabulary_without_room_for_bytes_is_refused():
    with pytest.raises(ValueError, match="greater than or equal to 264"):
        TokenizerConfig(vocab_size=200)
