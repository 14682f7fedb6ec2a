import pytest

from lmcore.conversations.records import ExerciseFacts, make_record
from lmcore.evaluate.baselines import baselines_for
from lmcore.evaluate.baselines.bag_of_words import bag_of_words, nearest_question
from lmcore.evaluate.baselines.copying import first_sentence, lead, passage_of, random_sentence
from lmcore.evaluate.baselines.guessing import random_answer
from lmcore.evaluate.baselines.majority import majority
from lmcore.evaluate.metrics.rouge import Rouge

TALES = [
    "The miller sang. Rain fell on the roof. Nobody heard him at all.",
    "A fox came by night. The hens were asleep. Morning told the rest.",
    "Seven ships left. Their sails were grey. One of them came home.",
    "Anna counted stars. The lamp went out. She began anew.",
]


def record(question, answer, number=0):
    return make_record(question, answer, id=f"x/{number}", exercise="x", document=f"d{number}", source="s")


def ask(questions, answers):
    pairs = zip(questions, answers, strict=True)
    return [record(question, answer, number) for number, (question, answer) in enumerate(pairs)]


@pytest.fixture(scope="module")
def summaries():
    """Passages whose wanted answer is their first sentence."""
    return ask(
        [f"{tale}\n\nWhat happened?" for tale in TALES], [tale.partition(". ")[0] + "." for tale in TALES]
    )


def test_the_majority_is_the_commonest_answer_and_of_equals_the_first():
    asked = ask(["?", "?"], ["z", "z"])
    assert majority(ask("abcd", ["b", "a", "b", "c"]), asked) == ["b", "b"]
    assert majority(ask("ab", ["b", "a"]), asked) == ["a", "a"]


def test_a_bag_of_words_finds_a_planted_word():
    train = ask(
        [f"some {word} words {n}" for n in range(20) for word in ("sea", "sky")], ["fish", "bird"] * 20
    )
    assert bag_of_words(train, ask(["the SEA, today", "a sky above"], ["?", "?"])) == ["fish", "bird"]


def test_a_bag_of_words_that_never_saw_a_second_answer_gives_the_first():
    assert bag_of_words(ask("ab", ["x", "x"]), ask("cd", "yz")) == ["x", "x"]


def test_the_nearest_question_has_the_most_rare_words_in_common():
    train = ask(
        ["how old is the king", "how old is the tower", "who built the bridge"], ["60", "900", "masons"]
    )
    assert nearest_question(train, ask(["tell me how old the tower is", "a bridge"], "??")) == [
        "900",
        "masons",
    ]


def test_the_lead_beats_a_random_sentence_where_the_lead_is_wanted(summaries):
    rouge = Rouge(["rougeL"])

    def score(answers):
        return [
            rouge.score(each.answer, answer)["rougeL"].f
            for each, answer in zip(summaries, answers, strict=True)
        ]

    assert score(first_sentence(summaries, summaries)) == [1.0] * 4
    assert sum(score(lead(summaries, summaries))) > sum(score(random_sentence(summaries, summaries)))


def test_the_lead_has_as_many_words_as_the_median_answer(summaries):
    assert [len(answer.split()) for answer in lead(summaries, summaries)] == [3] * 4


def test_a_passage_is_what_stands_in_front_of_the_question():
    assert passage_of("One.\n\nTwo.\n\nWhich?") == "One.\n\nTwo."
    assert passage_of("Which?") == "Which?"


def test_random_choices_hang_on_seed_and_question_alone(summaries):
    for guess in (random_sentence, random_answer):
        first = guess(summaries, summaries, 1)
        assert guess(summaries, summaries[::-1], 1) == first[::-1]
        assert any(guess(summaries, summaries, seed) != first for seed in range(2, 6))


def test_baselines_never_see_the_wanted_answers(summaries):
    other = [record(each.question, "something else", number) for number, each in enumerate(summaries)]
    for kind in ("label", "extract", "free"):
        facts = ExerciseFacts(claim="generalisation", answers=kind, sides={})
        for baseline in baselines_for(facts):
            assert baseline(summaries, other, 0) == baseline(summaries, summaries, 0)


def test_what_is_asked_again_is_not_looked_up():
    facts = ExerciseFacts(claim="recall", answers="free", sides={})
    assert baselines_for(facts) == (random_answer,)
