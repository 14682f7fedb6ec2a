from __future__ import annotations

import sys
import unicodedata
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.corpus.normalize import normalize_text
from lmcore.corpus.settings import NormalizeConfig

tricky = st.sampled_from(
    ["\n", "\r\n", "\r", " ", "\t", "\xa0", "\u200b", "\u0301", "e", "ﬁ", "¨", "\u2028", "\x85", "한"]
)
texts = st.lists(
    tricky | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=3), max_size=20
).map("".join)
configs = st.builds(
    NormalizeConfig,
    unicode_form=st.sampled_from(["NFC", "NFKC"]),
    keep_indentation=st.booleans(),
    max_blank_lines=st.integers(0, 3),
)


@given(text=texts, config=configs)
@settings(max_examples=400)
def test_normalising_twice_changes_nothing_more(text: str, config: NormalizeConfig):
    once = normalize_text(text, config)
    assert normalize_text(once, config) == once


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_every_character_is_stable_after_one_pass_and_in_its_form(form: Literal["NFC", "NFKC"]):
    config = NormalizeConfig(unicode_form=form)
    for start in range(0, sys.maxunicode + 1, 1024):
        codes = (code for code in range(start, start + 1024) if not 0xD800 <= code < 0xE000)
        once = normalize_text("".join(f"a{chr(code)}b " for code in codes), config)
        assert normalize_text(once, config) == once
        assert unicodedata.is_normalized(form, once)


@given(text=texts, config=configs)
def test_no_letter_is_lost(text: str, config: NormalizeConfig):
    def letters(value: str) -> list[str]:
        return [letter for letter in unicodedata.normalize("NFKD", value) if letter.isalnum()]

    assert letters(normalize_text(text, config)) == letters(text)


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("cafe\u0301", "café"),
        ("a\r\nb\rc\u2028d\x85e\x0cf", "a\nb\nc\nd\ne\nf"),
        ("  two\t\xa0 words  \n next ", "two words\nnext"),
        ("\n\n one\n \n\t\n\ntwo\n\n", "one\n\ntwo"),
        ("soft\xadhyphen zero\u200bwidth \ufeffmark\x00", "softhyphen zerowidth mark"),
        ("क्\u200dष", "क्\u200dष"),
        ("ﬁ", "ﬁ"),
        ("", ""),
    ],
)
def test_text_is_written_in_one_way(given_text: str, expected: str):
    assert normalize_text(given_text, NormalizeConfig()) == expected


def test_compatibility_form_replaces_ligatures():
    assert normalize_text("ﬁ \uff21", NormalizeConfig(unicode_form="NFKC")) == "fi A"


def test_indentation_is_kept_for_code():
    code = "def f():\n\tif  x:\n        return   1  \n   \nend"
    assert (
        normalize_text(code, NormalizeConfig(keep_indentation=True))
        == "def f():\n\tif x:\n        return 1\n\nend"
    )


def test_blank_lines_are_shortened_to_the_number_asked_for():
    text = "a\n\n\n\nb\n\nc"
    assert normalize_text(text, NormalizeConfig(max_blank_lines=0)) == "a\nb\nc"
    assert normalize_text(text, NormalizeConfig(max_blank_lines=2)) == "a\n\n\nb\n\nc"
