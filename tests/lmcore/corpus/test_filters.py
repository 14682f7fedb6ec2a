"""Filters measure what their papers say, and what datatrove measures on the same words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.corpus.filters import filters, limits_of
from lmcore.corpus.filters.c4_quality import c4_quality
from lmcore.corpus.filters.fineweb_quality import fineweb_quality
from lmcore.corpus.filters.gopher_quality import gopher_quality
from lmcore.corpus.filters.gopher_repetition import _NGrams, gopher_repetition
from lmcore.corpus.filters.language import language
from lmcore.corpus.filters.length import length
from lmcore.corpus.settings import FilterPart
from lmcore.corpus.text import Text, Vocabulary

words = st.lists(st.sampled_from(["a", "bb", "ccc", "d", "bbccc"]), min_size=1, max_size=60)


def passes(name: str, text: str, **dials: Any) -> bool:
    """What a filter's limits say of a text, in plain Python."""
    part = FilterPart.model_validate({"type": name, **dials})
    signals = part.measurement.build()(Text(text))
    for _, column, kind, bound in part.limits:
        value = signals[column.removeprefix(f"{name}_")]
        if kind == "only" and value not in bound:
            return False
        if (kind == "min" and value < bound) or (kind == "max" and value > bound):
            return False
    return True


def test_length_counts_words_between_white_space():
    assert length(Text("one two\nthree")) == {"words": 3}
    assert passes("length", "one two\nthree", min_words=3)
    assert not passes("length", "one two\nthree", min_words=4)
    assert not passes("length", "one two\nthree", min_words=1, max_words=2)
    assert passes("length", "one", min_words=None)


@pytest.mark.parametrize(
    ("text", "words"),
    [("這是春天。", 5), ("はるの 物語", 5), ("ที่นี่", 2), ("Café 北京 2008", 4), ("весна и город", 3)],
)
def test_of_scripts_without_spaces_length_counts_letters(text: str, words: int):
    assert length(Text(text)) == {"words": words}


def test_repeated_lines_are_counted_from_the_second_on():
    # Lines: yes yes no yes. Two of four repeat: 0.5 of the lines, 6 of 14 characters.
    values = gopher_repetition(Text("yes\nyes\nno\nyes"))
    assert values["duplicate_lines_share"] == 0.5
    assert values["duplicate_line_characters_share"] == 6 / 14
    assert values["duplicate_paragraphs_share"] == 0.0


def test_repeated_paragraphs_are_counted_from_the_second_on():
    values = gopher_repetition(Text("one\n\ntwo\n\n\none"))
    assert values["duplicate_paragraphs_share"] == pytest.approx(1 / 3)
    assert values["duplicate_paragraph_characters_share"] == 3 / 14


def test_the_commonest_ngram_counts_with_its_spaces():
    # "to be" stands twice, 5 characters each, in 18 characters.
    assert gopher_repetition(Text("to be or not to be"))["top_2gram_characters_share"] == 10 / 18


def test_an_ngram_that_occurs_once_repeats_nothing():
    assert gopher_repetition(Text("four words of nothing"))["top_4gram_characters_share"] == 0
    assert passes("gopher_repetition", "four words of nothing")


def test_repeated_ngrams_do_not_overlap():
    # "a b a b a b": the 2-gram "a b" is new at 0, repeats at 2 and 4; "b a" is new at 1. 4 of 11 characters.
    assert _NGrams(Text("a b a b a b")).duplicate_characters(2) == 4


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
def test_ngram_counts_are_those_of_a_plain_loop(tokens: list[str]):
    tops, repeats = _NGrams(Text(" ".join(tokens))), _NGrams(Text(" ".join(tokens)))
    for n in (2, 3, 4):
        assert tops.top_characters(n) == slow_top(tokens, n)
    for n in (2, 3, 5, 10):
        assert repeats.duplicate_characters(n) == slow_duplicates(tokens, n)


def test_a_value_at_the_threshold_passes():
    text = "to be or not to be"
    assert passes("gopher_repetition", text, max_top_2gram_characters_share=10 / 18)
    assert not passes("gopher_repetition", text, max_top_2gram_characters_share=9.99 / 18)


def test_a_limit_of_none_leaves_its_rule_out():
    chant = "come and see " * 40
    off = dict.fromkeys(limit.rule.partition(".")[2] for limit in FilterPart(type="gopher_repetition").limits)
    assert not passes("gopher_repetition", chant)
    assert passes("gopher_repetition", chant, **off)


@pytest.mark.parametrize("name", ["length", "gopher_repetition", "gopher_quality", "c4_quality", "language"])
@pytest.mark.parametrize("text", ["", "  \n ", "word", "one\n\ntwo", "\N{BULLET}", "#\n#", "...\n"])
def test_every_text_can_be_measured(name: str, text: str):
    signals = filters[name](Text(text))
    assert all(value == value for value in signals.values())  # none is not a number


@pytest.mark.parametrize("name", filters.names())
def test_every_limit_is_on_something_that_is_measured(name: str):
    part = FilterPart(type=name)
    assert part.limits
    signals = part.measurement.build()(Text("One text, and what it has."))
    assert {limit.column.removeprefix(f"{name}_") for limit in part.limits} <= set(signals)


def test_limits_are_told_from_the_settings_of_a_measurement():
    assert limits_of(
        "f", {"min_words": 2, "max_words": None, "only_code": ("en",), "minimal": 1, "n": 3}
    ) == [
        ("f.min_words", "f_words", "min", 2),
        ("f.only_code", "f_code", "only", ("en",)),
    ]
    part = FilterPart.model_validate({"type": "fineweb_quality", "short_line_characters": 9})
    assert part.measurement.dials == {"short_line_characters": 9}


def test_quality_signals_by_hand():
    signals = gopher_quality(Text("- the cat and #1 ...\n* sat…\n\n42 to be"))
    assert signals == {
        "words": 8,  # without "-", "...", "*"
        "mean_word_length": (3 + 3 + 3 + 2 + 4 + 2 + 2 + 2) / 8,
        "hashes_per_word": 1 / 11,
        "ellipses_per_word": 2 / 11,
        "bullet_lines_share": 1 / 4,
        "ellipsis_lines_share": 2 / 4,
        "alphabetic_words_share": 6 / 11,
        "stop_words": 4,
    }


def test_sentences_end_in_a_mark_before_white_space():
    # Two in the first line; e.g.'s points stand inside words; the rest of a line is one more.
    assert c4_quality(Text('He said "no." Then 3.5 came!\nand so'))["sentences"] == 3
    assert c4_quality(Text("Lorem IPSUM {}{"))["lorem_ipsum"] == 1
    assert c4_quality(Text("Lorem IPSUM {}{"))["curly_brackets"] == 2


def test_line_shares_of_fineweb_by_hand():
    signals = fineweb_quality(Text("A short line.\n\nno end\nA short line.\n" + "long " * 10))
    assert signals == {
        "terminal_punctuation_lines_share": 2 / 4,
        "short_lines_share": 3 / 4,
        "duplicate_line_characters_share": 13 / (13 + 6 + 13 + 50),
        "newlines_per_word": 4 / 18,
    }


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("It is a truth universally acknowledged.", "en"),
        ("C'est une vérité universellement reconnue.", "fr"),
        ("Все счастливые семьи похожи друг на друга.", "ru"),
    ],
)
def test_languages_are_told_apart(text: str, code: str):
    signals = language(Text(text))
    assert signals["code"] == code
    assert 0.65 < float(signals["confidence"]) <= 1
    assert passes("language", text, only_code=(code,))
    assert not passes("language", text, only_code=("nl",))


def test_a_vocabulary_that_is_shared_changes_nothing():
    shared = Vocabulary()
    for text in ("the one and the other", "another one", "the one and the other"):
        assert gopher_quality(Text(text, shared)) == gopher_quality(Text(text))
        assert gopher_repetition(Text(text, shared)) == gopher_repetition(Text(text))


# What texts of the web look like: sentences, lists, headings, code, menus, repeated lines.
LINES = st.sampled_from(
    ["The cat sat on the mat and that was that.", "- have one", "• with two", "Read more...", "HEADING",
     "# a # b",
     "to be, or not to be?", "x = {1: 'a'}", "1 2 3 4 5 6 7", "a_very_long_identifier_of_a_program()", "",
     "And they have to be with the others of that kind, said the old man to his wife.", "| 1 | 2 |",
     "“Quite so!”"]
)  # fmt: skip
PAGES = st.lists(LINES, min_size=1, max_size=40).map("\n".join).filter(str.strip)


@pytest.fixture(scope="module")
def datatrove() -> Callable[[str, str], bool]:
    """Whether datatrove's filter keeps a text, with our words in place of spaCy's."""
    import datatrove.pipeline.filters.fineweb_quality_filter as fineweb
    import datatrove.pipeline.filters.gopher_quality_filter as quality
    import datatrove.pipeline.filters.gopher_repetition_filter as repetition
    from datatrove.data import Document

    for module in (fineweb, quality, repetition):
        module.split_into_words = lambda text, _: text.split()  # type: ignore[attr-defined]
    peers: dict[str, Any] = {
        "gopher_quality": quality.GopherQualityFilter(),
        "gopher_repetition": repetition.GopherRepetitionFilter(),
        "fineweb_quality": fineweb.FineWebQualityFilter(),
    }

    def keeps(name: str, text: str) -> bool:
        return peers[name].filter(Document(text=text, id="1")) is True

    return keeps


def punctuation() -> str:
    from datatrove.utils.text import PUNCTUATION_SET

    return "".join(sorted(PUNCTUATION_SET))


@given(text=PAGES)
@settings(max_examples=150)
@pytest.mark.parametrize("name", ["gopher_quality", "gopher_repetition", "fineweb_quality"])
def test_decisions_are_those_of_datatrove(datatrove: Callable[[str, str], bool], name: str, text: str):
    if name == "gopher_repetition" and any(  # the one declared difference
        slow_top(text.split(), n) == 0 and len(text.split()) < 60 for n in (2, 3, 4)
    ):
        return
    dials = {"symbols": punctuation()} if name == "gopher_quality" else {}
    assert passes(name, text.strip("\n"), **dials) == datatrove(name, text.strip("\n"))


@given(text=st.lists(st.sampled_from([*"ab.?!\"')] \t\n", "Mr. X", "...", "\n\n"]), max_size=40).map("".join))
def test_sentences_of_a_text_are_those_of_its_lines(text: str):
    # Line by line: an end of a sentence stands before white space, and what is left of a line is one more.
    counted = 0
    for line in text.split("\n"):
        ends = [match.end() for match in re.finditer(r"[.?!]+[\"')\]]*(?=\s|$)", line)]
        counted += len(ends) + bool(line[ends[-1] if ends else 0 :].strip())
    assert c4_quality(Text(text))["sentences"] == counted
