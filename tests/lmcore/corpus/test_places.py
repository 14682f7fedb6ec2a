"""Lines of files, beside the line that was planted."""

from __future__ import annotations

import random

import pytest

from lmcore.corpus.cleaners.personal_data import personal_data
from lmcore.corpus.normalize import normalize_text
from lmcore.corpus.places import Lines
from lmcore.corpus.settings import NormalizeConfig


def made(seed: int, number: int = 120) -> list[str]:
    """Lines of words that recur all over."""
    draw = random.Random(seed)
    words = ["the", "sea", "and", "a", "shore", "she", "said", "it", "was", "never"]
    return [" ".join(draw.choices(words, k=draw.randint(0, 9))) for _ in range(number)]


@pytest.mark.parametrize("seed", range(6))
def test_the_line_of_each_word_is_found_however_lines_were_joined(seed: int):
    lines = made(seed)
    clean = normalize_text(" ".join(lines), NormalizeConfig())  # as a reader that unwraps would
    found = Lines(lines, first=31)
    offset, right = 0, 0
    expected = [31 + number for number, line in enumerate(lines) for _ in line.split()]
    for word, line in zip(clean.split(), expected, strict=True):
        offset = clean.index(word, offset)
        place = found.find(clean, offset)
        assert place.is_exact
        right += place.line == line
        offset += len(word)
    assert right == len(expected)


def test_a_passage_is_found_behind_what_a_cleaner_masked_or_took_away():
    lines = [
        "Write to anna.smith@inbox.net or to",
        "ben@inbox.net; the lighthouse",
        "is painted each autumn by its keeper.",
    ]
    clean = personal_data(" ".join(lines)).text
    found = Lines(lines, 1)
    assert found.find(clean, clean.index("painted")) == (3, True)
    assert found.find(clean.partition("; ")[2], 4) == (2, True)


def test_the_nearest_of_several_places_is_taken():
    lines = ["never the same again"] * 40
    clean = "\n".join(lines)
    for number in (0, 17, 39):
        assert Lines(lines, 1).find(clean, number * len("never the same again\n")).line == number + 1


def test_other_cases_and_other_forms_of_letters_are_the_same_words():
    assert Lines(["one", "THE CAFE\u0301 OF OUR TOWN", "two"], 5).find("the café of our town", 5) == (6, True)


@pytest.mark.parametrize("text", ["", "quite other words stand here", "..."])
def test_where_the_words_are_not_there_the_first_line_is_told_as_no_exact_one(text: str):
    assert Lines(["one two three", "four"], 7).find(text, 0) == (7, False)
