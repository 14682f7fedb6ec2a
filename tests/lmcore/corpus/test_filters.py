from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.corpus.filters import filters
from lmcore.corpus.filters.length import length
from lmcore.corpus.filters.repetition import _measures, repetition

words = st.lists(st.sampled_from(["a", "bb", "ccc", "d", "bbccc"]), min_size=1, max_size=60)


def test_length_counts_words_between_white_space():
    assert length("one two\nthree", min_words=3) is None
    assert length("one two\nthree", min_words=4) == ("min_words", 3, 4)
    assert length("one two\nthree", min_words=1, max_words=2) == ("max_words", 3, 2)
    assert length("") == ("min_words", 0, 20)


def test_repeated_lines_are_counted_from_the_second_on():
    # Lines: yes yes no yes. Two of four repeat: 0.5 of the lines, 6 of 14 characters.
    values = dict(_measures("yes\nyes\nno\nyes", [], []))
    assert values["duplicate_lines_share"] == 0.5
    assert values["duplicate_line_characters_share"] == 6 / 14
    assert values["duplicate_paragraphs_share"] == 0.0


def test_repeated_paragraphs_are_counted_from_the_second_on():
    values = dict(_measures("one\n\ntwo\n\n\none", [], []))
    assert values["duplicate_paragraphs_share"] == pytest.approx(1 / 3)
    assert values["duplicate_paragraph_characters_share"] == 3 / 14


def test_the_commonest_ngram_counts_with_its_spaces():
    # "to be" stands twice, 5 characters each, in 18 characters.
    assert dict(_measures("to be or not to be", [2], []))["top_2gram_characters_share"] == 10 / 18


def test_an_ngram_that_occurs_once_repeats_nothing():
    assert dict(_measures("four words of nothing", [2, 3, 4], []))["top_4gram_characters_share"] == 0
    assert repetition("four words of nothing") is None


def test_repeated_ngrams_do_not_overlap():
    # "a b a b a b": the 2-gram "a b" is new at 0, repeats at 2 and 4; "b a" is new at 1. 4 of 11 characters.
    assert dict(_measures("a b a b a b", [], [2]))["duplicate_2gram_characters_share"] == 4 / 11


def slow_top(tokens: list[str], n: int) -> int:
    """datatrove's find_top_duplicate, with one difference: what occurs once does not count."""
    counts = Counter(" ".join(tokens[at : at + n]) for at in range(len(tokens) - n + 1))
    text, count = max(counts.items(), key=lambda item: item[1], default=("", 0))
    return len(text) * count if count > 1 else 0


def slow_duplicates(tokens: list[str], n: int) -> int:
    """datatrove's find_all_duplicate, on tuples of words instead of joined strings."""
    seen, characters, at = set(), 0, 0
    while at < len(tokens) - n + 1:
        ngram = tuple(tokens[at : at + n])
        if ngram in seen:
            characters += len("".join(ngram))
            at += n
        else:
            seen.add(ngram)
            at += 1
    return characters


@given(tokens=words)
@settings(max_examples=200)
def test_ngram_shares_are_those_of_a_plain_loop(tokens: list[str]):
    text = " ".join(tokens)
    values = dict(_measures(text, [1, 2, 3, 4], [1, 2, 5, 10]))
    for n in (1, 2, 3, 4):
        assert values[f"top_{n}gram_characters_share"] == slow_top(tokens, n) / len(text)
    for n in (1, 2, 5, 10):
        assert values[f"duplicate_{n}gram_characters_share"] == slow_duplicates(tokens, n) / len(text)


def test_each_rule_rejects_with_its_value_and_threshold():
    assert repetition("no\nyes\nyes\nyes") == ("duplicate_lines_share", 0.5, 0.3)
    verdict = repetition("for his mercy endureth for ever " * 6)
    assert verdict is not None
    assert verdict.rule == "top_2gram_characters_share"
    assert verdict.value > verdict.threshold == 0.2


def test_a_value_at_the_threshold_passes():
    assert repetition("to be or not to be", top_ngram_characters_shares=(10 / 18,)) is None
    assert repetition("to be or not to be", top_ngram_characters_shares=(9.99 / 18,)) is not None


def test_shorter_lists_leave_rules_out():
    chant = "come and see " * 40
    assert repetition(chant, top_ngram_characters_shares=(), duplicate_ngram_characters_shares=()) is None


def test_empty_and_one_word_texts_pass():
    for text in ("", "  \n ", "word", "one\n\ntwo"):
        assert repetition(text) is None


def test_filters_are_found_by_name():
    assert {"length", "repetition"} <= set(filters.names())
