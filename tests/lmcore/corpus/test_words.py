"""Words as numbers, held to plain Python."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.corpus import words as module
from lmcore.corpus.words import cut_words, run_hashes

SPELT = re.compile("[ぁ-ヿ一-鿿](\\u0301[^ ぁ-ヿ一-鿿]*)?|[^ ぁ-ヿ一-鿿]+")
"""Of Han and kana each letter, and its marks."""


def plain_words(text: str) -> list[tuple[str, int]]:
    """Letters, digits and marks that stand together, and where they begin."""
    is_word = lambda letter: letter.isalnum() or unicodedata.category(letter)[0] == "M"  # noqa: E731
    shown = "".join(letter if is_word(letter) else " " for letter in text)
    return [(match[0].casefold(), match.start()) for match in SPELT.finditer(shown)]


TEXTS = st.text(alphabet="abB cé1É\u0301.\n_-日本かИи", max_size=40)


@given(texts=st.lists(TEXTS, max_size=5), block=st.sampled_from([1 << 15, 60]))
def test_words_are_those_that_plain_python_finds(texts: list[str], block: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        found = cut_words(texts)
    expected = [plain_words(text) for text in texts]
    assert found.counts.tolist() == [len(each) for each in expected]
    assert found.begins.tolist() == [begin for each in expected for _, begin in each]
    spelt = [word for each in expected for word, _ in each]
    assert len(set(zip(spelt, found.hashes.tolist(), strict=True))) == len(set(spelt))
    assert len(set(found.hashes.tolist())) == len(set(spelt))


@given(texts=st.lists(TEXTS, max_size=4), length=st.integers(1, 6))
def test_runs_are_equal_exactly_where_the_words_are(texts: list[str], length: int):
    words = cut_words(texts)
    for pad in (False, True):
        runs, firsts = run_hashes(words, length, pad=pad)
        expected = []
        for number, text in enumerate(texts):
            own = [word for word, _ in plain_words(text)]
            count = len(own) - length + 1
            whole = [own] if pad and own and count < 1 else []
            mine = [own[at : at + length] for at in range(count)] or whole
            assert firsts[number + 1] - firsts[number] == len(mine)
            expected += [tuple(run) for run in mine]
        assert len(set(zip(runs.tolist(), expected, strict=True))) == len(set(expected))
        assert len(set(runs.tolist())) == len(set(expected))


def test_a_text_is_cut_the_same_alone_and_in_company(monkeypatch: pytest.MonkeyPatch):
    long = " ".join(f"word{n}" for n in range(3000))
    whole = cut_words([long]).hashes.tolist()
    monkeypatch.setattr(module, "BLOCK", 1000)
    found = cut_words(["before", long, "", "behind it"])
    assert found.counts.tolist() == [1, 3000, 0, 2]
    assert found.hashes[1:3001].tolist() == whole
    assert [long[at : at + 4] for at in found.begins[1:3001].tolist()] == ["word"] * 3000
    assert cut_words(["x" * 2500]).counts.tolist() == [3]  # a word longer than a block is cut


def test_case_is_folded_letter_by_letter():
    same = [("ÉCOLE", "école"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("İ", "İ"), ("ſ", "s"), ("ẞ", "ß")]
    for left, right in same:
        assert cut_words([left]).hashes.tolist() == cut_words([right]).hashes.tolist()
