"""The cuts are those of `tokenizers` with the published pattern, on everything that could tell them apart."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from lmcore.tokenizers import pieces
from lmcore.tokenizers.patterns import PATTERNS

RULES = sorted(PATTERNS)
ODD = " \t\n\r'.,!(0129ab\u00a0\u3000\u2028\x85\x1c\0éſßﬆ漢²’"
CONTRACTIONS = ("'s", "'S", "'LL", "'ll", "'ve", "'re", "'rE", "'d", "'m", "'t", "'ſ", "'ﬆ")
TRICKY = st.lists(
    st.sampled_from((*ODD, *CONTRACTIONS, "\r\n", "e\u0301", "١٢٣٤", "👩\u200d🚀")), max_size=16
).map("".join)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def cut(texts, rule):
    """The pieces of each text."""
    found = [[]]
    for block in pieces.cut(texts, rule):
        for number in range(len(block.starts)):
            match block.spelled(number):
                case b"\xff":
                    found.append([])
                case b"\xfe":
                    pass
                case piece:
                    found[-1].append(piece.decode())
    assert found.pop() == []
    return found


def cut_by_tokenizers(texts, rule):
    split = pre_tokenizers.Split(Regex(PATTERNS[rule]), behavior="isolated")
    return [[piece for piece, _ in split.pre_tokenize_str(text)] for text in texts]


@pytest.mark.parametrize("rule", RULES)
@given(texts=st.lists(st.one_of(TRICKY, ANY_TEXT), max_size=8))
@settings(max_examples=150)
def test_texts_are_cut_as_tokenizers_cuts_them(rule, texts):
    assert cut(texts, rule) == cut_by_tokenizers(texts, rule)


@pytest.mark.parametrize("rule", ["gpt2", "gpt4"])
def test_characters_of_all_of_unicode_are_taken_for_what_tokenizers_takes_them(rule):
    codes = {*range(0x800), *range(0x2000, 0x2100), *range(0x800, 0x110000, 31)} - {*range(0xD800, 0xE000)}
    letters = [chr(code) for code in sorted(codes)]
    # Between letters, between blanks, as a contraction's letter, before a number, before a line's end.
    spelled = [f"a{letter}b {letter} '{letter}1{letter}\n" for letter in letters]
    texts = ["".join(spelled[first::64]) for first in range(64)]
    assert cut(texts, rule) == cut_by_tokenizers(texts, rule)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "text",
    [
        "x" * 100_000,
        " " * 100_000,
        "\n" * 100_000,
        "7" * 100_001,
        "'s" * 30_000,
        "!\n" * 30_000 + " ",
        "\0" * 50_000,
    ],
    ids=["word", "blanks", "lines", "digits", "contractions", "absorbed", "zeros"],
)
def test_a_text_without_an_end_of_a_word_is_cut_too(rule, text):
    assert cut([text], rule) == cut_by_tokenizers([text], rule)


@pytest.mark.parametrize("rule", RULES)
def test_a_long_text_is_read_in_parts_and_cut_as_if_it_were_not(rule, monkeypatch):
    text = "It's 12345 o'clock,\n\n  said\tthe  漢字 man's (old) friend 's \u00a0 one two " * 40
    whole = cut_by_tokenizers([text, "", text], rule)
    monkeypatch.setattr(pieces, "BLOCK_CHARACTERS", 50)
    assert len(list(pieces.cut([text], rule))) > 20
    assert cut([text, "", text], rule) == whole


def test_half_a_surrogate_pair_cannot_be_cut():
    with pytest.raises(UnicodeEncodeError):
        cut(["ab\ud800"], "gpt2")
