import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from lmcore.evaluate.metrics.exact import exact_match
from lmcore.evaluate.metrics.lcs import lcs_indices, lcs_length
from lmcore.evaluate.metrics.rouge import Rouge

KINDS = ["rouge1", "rouge2", "rouge3", "rougeL", "rougeLsum"]
TEXT = "the cat cats sat sitting on a mat mats running runs quickly 12 naïve Ünïcode İstanbul don't\n . —"
WORDS = TEXT.split(" ")


@pytest.fixture(scope="module")
def pairs():
    """Ours and the package's scorer, plain and stemmed."""
    return [
        (Rouge(KINDS, is_stemmed=stemmed), RougeScorer(KINDS, use_stemmer=stemmed))
        for stemmed in (False, True)
    ]


def check(pairs, reference, hypothesis):
    for ours, theirs in pairs:
        expected = {kind: tuple(score) for kind, score in theirs.score(reference, hypothesis).items()}
        assert {kind: tuple(score) for kind, score in ours.score(reference, hypothesis).items()} == expected


def test_every_digit_is_that_of_rouge_score_on_a_thousand_pairs(pairs):
    draw = random.Random(1)

    def text():
        return " ".join(draw.choices(WORDS, k=draw.randint(0, 15)))

    for _ in range(1_000):
        check(pairs, text(), text())


@given(st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=60)
def test_any_text_scores_as_in_rouge_score(pairs, reference, hypothesis):
    check(pairs, reference, hypothesis)


@given(st.text("abc \n", max_size=40), st.text("abc \n", max_size=40))
@settings(max_examples=100)
def test_texts_of_few_different_words_score_as_in_rouge_score(pairs, reference, hypothesis):
    spaced = [" ".join(text) for text in (reference, hypothesis)]
    check(pairs, *spaced)


def test_the_numbers_of_the_original_perl_script():
    """A reference of 16 words that shares 11 with 27 others, 8 pairs of 15 and 26."""
    reference = " ".join(f"w{number}" for number in range(16))
    hypothesis = " ".join(
        [f"w{number}" for number in range(9)] + ["w11", "w13"] + [f"x{n}" for n in range(16)]
    )
    scores = Rouge(["rouge1", "rouge2"]).score(reference, hypothesis)
    assert scores["rouge1"] == pytest.approx((0.40741, 0.68750, 0.51163), abs=5e-6)
    assert scores["rouge2"] == pytest.approx((0.30769, 0.53333, 0.39024), abs=5e-6)


def test_the_same_text_scores_one_and_another_zero():
    for stemmed in (False, True):
        rouge = Rouge(KINDS, is_stemmed=stemmed)
        assert set(rouge.score("A cat sat here", "a cat, sat HERE").values()) == {(1.0, 1.0, 1.0)}
        assert set(rouge.score("a cat sat", "dogs run home").values()) == {(0.0, 0.0, 0.0)}
        assert set(rouge.score("", "a cat").values()) == {(0.0, 0.0, 0.0)}


def test_stemming_joins_words_of_one_stem():
    assert Rouge(["rouge1"]).score("running cats", "run cat")["rouge1"].f == 0
    assert Rouge(["rouge1"], is_stemmed=True).score("running cats", "run cat")["rouge1"].f == 1


def test_lsum_reads_lines_as_sentences_and_l_does_not():
    scores = Rouge(["rougeL", "rougeLsum"]).score("a b c\nd e f", "d e f\na b c")
    assert scores["rougeL"].f == 0.5
    assert scores["rougeLsum"].f == 1.0


def test_the_best_of_several_references_counts_as_in_rouge_score(pairs):
    references = ["the cat", "the cat sat on the mat", "a dog"]
    for ours, theirs in pairs:
        expected = theirs.score_multi(references, "the cat sat")
        found = ours.best(references, "the cat sat")
        assert {kind: tuple(score) for kind, score in found.items()} == {
            kind: tuple(score) for kind, score in expected.items()
        }
    with pytest.raises(ValueError, match="no reference to score against"):
        Rouge().best([], "the cat")


@pytest.mark.parametrize(
    "text", ["Всё смешалось в доме", "吾輩は猫である", "किताब पढ़ना", "الكتاب الجديد", "naïve café"]
)
def test_other_scripts_have_words_in_the_unicode_mode_only(text):
    unicode = Rouge(["rouge1", "rouge2"], tokenizer="unicode")
    assert unicode.score(text, text)["rouge1"].f == 1.0
    assert unicode.score(text, "something else")["rouge1"].f == 0.0
    if text.isascii() or text[0] != "n":
        assert Rouge(["rouge1"]).score(text, text)["rouge1"].f == 0.0


def test_in_unicode_mode_marks_stay_with_their_letters_and_unspaced_scripts_fall_into_letters():
    rouge = Rouge(["rouge1"], tokenizer="unicode")
    assert rouge.score("猫である", "猫がある")["rouge1"].recall == 0.75
    assert rouge.score("किताब", "किताबें")["rouge1"].f == 0.0
    assert rouge.score("Cafe\u0301 noir", "CAFÉ NOIR")["rouge1"].f == 1.0


@given(st.lists(st.integers(0, 4), max_size=90), st.lists(st.integers(0, 4), max_size=90))
def test_common_subsequences_are_as_long_as_the_table_says(first, second):
    row = [0] * (len(second) + 1)
    for token in first:
        before = row
        row = [0]
        for place, other in enumerate(second):
            row.append(before[place] + 1 if token == other else max(before[place + 1], row[-1]))
    assert lcs_length(first, second) == row[-1]
    assert len(lcs_indices(first, second)) == row[-1]


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="no ROUGE of the kind 'rouge0'; expected one of rouge1"):
        Rouge(["rouge0"])


@pytest.mark.parametrize(
    ("answer", "expected"), [(" Emma\n", 1), ("EMMA", 1), ("Em ma", 0), ("Emma Woodhouse", 0), ("", 0)]
)
def test_an_exact_match_forgives_case_and_space(answer, expected):
    assert exact_match("Emma", answer) == expected
    assert exact_match("Sense  and\nSensibility", "sense and sensibility") == 1
