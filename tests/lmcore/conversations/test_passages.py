import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.conversations.passages import all_sentences, body, cut_passages, num_words, sentences, verses
from lmcore.corpus.document import Document, digest_of


def document(text, title=""):
    return Document("s/f#1", "s", "f", 1, title, text, digest_of(text))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("It rained. She left.", ["It rained.", "She left."]),
        ("Mr. Darcy and Mrs. Bennet met. They spoke.", ["Mr. Darcy and Mrs. Bennet met.", "They spoke."]),
        ('"Oh!" said he. "No?" She left.', ['"Oh!" said he.', '"No?"', "She left."]),
        ("Dear F. C. Weston came. Then I. We saw.", ["Dear F. C. Weston came.", "Then I.", "We saw."]),
        ("It cost 3.50 pounds... and more.", ["It cost 3.50 pounds... and more."]),
        ("吾輩は猫である。名前はまだ無い。", ["吾輩は猫である。", "名前はまだ無い。"]),
        ("no mark at all", ["no mark at all"]),
        ("  ", []),
    ],
)
def test_lines_are_cut_where_sentences_end(line, expected):
    assert sentences(line) == expected


@given(st.text(st.sampled_from("abC .!?\"'Mr-")))
def test_sentences_are_the_line_again(line):
    assert "".join("".join(sentences(line)).split()) == "".join(line.split())


def test_titles_headings_stars_and_numbers_of_verses_are_no_part_of_the_body():
    text = "Ruth 1\n\nTHE FIRST BOOK\n1 Now it came to pass.\n2 And they went.\n* * *\n10 So she said,"
    ruth = document(text, "RUTH 1")
    assert body(ruth) == ["Now it came to pass.", "And they went.", "So she said,"]
    assert verses(ruth) == {1: "Now it came to pass.", 2: "And they went.", 10: "So she said,"}


def test_a_psalm_with_a_line_above_its_verses_has_verses():
    psalm = document(
        "Psalms 3\nA Psalm of David.\n1 LORD, how are they increased\n2 Many there be\n3 But thou", "Psalms 3"
    )
    assert verses(psalm) == {1: "LORD, how are they increased", 2: "Many there be", 3: "But thou"}
    assert body(psalm)[0] == "A Psalm of David."


@pytest.mark.parametrize(
    "text", ["12 men came in.\nThey sat down.\n3 of them spoke.", "7 Only one line.", "Plain text."]
)
def test_a_text_with_a_few_numbers_has_no_verses_and_keeps_them(text):
    assert verses(document(text)) == {}
    assert body(document(text)) == text.split("\n")


def test_the_end_of_a_line_ends_a_sentence():
    assert all_sentences(document("One\ntwo. Three.")) == ["One", "two.", "Three."]


def test_words_of_text_without_spaces_are_counted_by_letters():
    assert num_words("two words") == 2
    assert num_words("猫" * 100) == 10


@given(st.lists(st.integers(1, 30), max_size=40), st.integers(8, 40))
def test_passages_are_runs_of_neighbours_within_the_limits_and_never_overlap(sizes, limit):
    pieces = [f"p{number} " + "w " * (size - 1) for number, size in enumerate(sizes)]
    passages = cut_passages(pieces, limit)
    numbers = [[int(piece.split()[0][1:]) for piece in passage] for passage in passages]
    for passage, run in zip(passages, numbers, strict=True):
        assert run == list(range(run[0], run[0] + len(run)))
        assert limit / 2 <= sum(map(num_words, passage)) <= limit
    used = [number for run in numbers for number in run]
    assert used == sorted(set(used))
