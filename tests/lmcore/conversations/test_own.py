import json
from collections import Counter, defaultdict

import pytest

from lmcore.chat.conversation import Conversation
from lmcore.conversations.own import own_name, write_held_out
from lmcore.conversations.records import read_exercises, read_side
from lmcore.conversations.settings import ConversationsConfig
from lmcore.conversations.sides import choose_sides
from lmcore.conversations.write import write_conversations
from lmcore.corpus.document import Document, read
from lmcore.corpus.words import stream

SIDES = ("train", "validation", "test")
SHARES = ConversationsConfig(exercises=[], validation_share=0.2, test_share=0.2)


def ask(question, answer="Yes."):
    return Conversation(
        messages=[{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    )


def words(number):
    """Ten words that no other number shares."""
    return " ".join(f"w{value % 10**9}" for value in stream(number, 10).tolist())


@pytest.fixture(scope="module")
def empty(make_sides, tmp_path_factory):
    """A corpus without a document."""
    return make_sides(tmp_path_factory.mktemp("empty"), [], [], [])


def write_own(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_sides_get_their_shares_and_hang_on_the_content_alone():
    conversations = [ask(words(number)) for number in range(1000)]
    sides = choose_sides(conversations, 0.2, 0.1)
    counts = Counter(sides)
    assert 150 < counts["validation"] < 250
    assert 65 < counts["test"] < 135
    assert choose_sides(conversations[::-1], 0.2, 0.1) == sides[::-1]
    assert choose_sides(conversations[:50], 0.2, 0.1) == sides[:50]


def test_prompts_that_are_alike_stand_on_one_side_whatever_the_answers():
    conversations, family = [], []
    for number in range(60):
        text = words(number)
        variants = [text, text.upper() + "!", f"  {text}\n", text + " please", text]
        conversations += [ask(each, f"answer {place}") for place, each in enumerate(variants)]
        family += [number] * len(variants)
    by_family = defaultdict(set)
    for number, side in zip(family, choose_sides(conversations, 0.3, 0.3), strict=True):
        by_family[number].add(side)
    assert all(len(sides) == 1 for sides in by_family.values())
    counts = Counter(side for sides in by_family.values() for side in sides)
    assert all(counts[side] > 8 for side in SIDES)  # 24, 18 and 18 are to be expected


def test_the_wording_of_a_task_makes_no_family_of_all_its_questions():
    wording = (
        "You are given a review of a film. Say in one word whether the writer liked it or not. The review:"
    )
    conversations = [ask(f"{wording}\n\n{words(number)}") for number in range(200)]
    assert len(set(choose_sides(conversations, 0.2, 0.2))) == 3


def test_prompts_without_a_word_have_sides_too():
    assert len(choose_sides([ask("?!"), ask("..."), ask("a")], 0.2, 0.2)) == 3


def test_own_conversations_are_an_exercise_called_as_their_file(empty, tmp_path):
    own = write_own(
        tmp_path / "Support questions.jsonl",
        [{"prompt": words(n), "completion": words(-n)} for n in range(1, 81)],
    )
    facts = write_conversations(empty, [own], tmp_path / "out", SHARES)
    exercise = read_exercises(tmp_path / "out")["support_questions"]
    assert (exercise.claim, exercise.answers) == ("generalisation", "free")
    assert sum(exercise.sides[side].conversations for side in SIDES) == 80
    assert facts["support_questions_train"] == exercise.sides["train"].conversations > 0
    for side in SIDES:
        for record in read_side(tmp_path / "out", side):
            assert (record.document, record.source) == (record.id, "Support questions.jsonl")


def test_few_distinct_answers_are_labels_and_copies_are_left_out(empty, tmp_path):
    rows = [{"prompt": words(number), "completion": ["good", "bad"][number % 2]} for number in range(80)]
    own = write_own(tmp_path / "reviews.jsonl", rows + rows[:5])
    write_conversations(empty, [own], tmp_path / "out", SHARES)
    exercise = read_exercises(tmp_path / "out")["reviews"]
    assert exercise.answers == "label"
    assert set(exercise.sides["train"].answers) == {"good", "bad"}
    assert exercise.note == "5 copies were left out"


def test_a_side_without_conversations_is_told(empty, tmp_path):
    own = write_own(tmp_path / "few.jsonl", [{"prompt": "a", "completion": "b"}])
    write_conversations(
        empty, [own], tmp_path / "out", ConversationsConfig(exercises=[], test_share=0, validation_share=0)
    )
    assert "nothing on the sides validation, test" in read_exercises(tmp_path / "out")["few"].note


@pytest.mark.parametrize(
    ("name", "expected"), [("a b-c.jsonl", "a_b_c"), ("Fragen.jsonl.gz", "fragen"), ("质.jsonl", "own")]
)
def test_names_of_own_exercises_are_plain(tmp_path, name, expected):
    assert own_name(tmp_path / name) == expected


def test_two_exercises_of_one_name_and_empty_files_are_refused(empty, tmp_path):
    first = write_own(tmp_path / "a.jsonl", [{"prompt": "a", "completion": "b"}])
    (tmp_path / "other").mkdir()
    second = write_own(tmp_path / "other" / "a.jsonl", [{"prompt": "c", "completion": "d"}])
    with pytest.raises(ValueError, match="two exercises are called 'a'; rename"):
        write_conversations(empty, [first, second], tmp_path / "out", SHARES)
    with pytest.raises(ValueError, match="the file is empty"):
        write_conversations(empty, [write_own(tmp_path / "none.jsonl", [])], tmp_path / "out", SHARES)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("number", [3, 4, 10])
def test_few_conversations_still_have_every_side_with_a_share(seed, number):
    conversations = [ask(words(1000 * seed + each)) for each in range(number)]
    sides = choose_sides(conversations, 0.05, 0.05)
    assert set(sides) == set(SIDES)
    assert choose_sides(conversations[::-1], 0.05, 0.05) == sides[::-1]
    assert set(choose_sides(conversations, 0.05, 0)) == {"train", "validation"}
    assert set(choose_sides(conversations, 0.9, 0.09)) == set(SIDES)
    assert set(choose_sides(conversations, 0, 0)) == {"train"}


def test_fewer_conversations_than_sides_are_refused(empty, tmp_path):
    own = write_own(tmp_path / "few.jsonl", [{"prompt": words(n), "completion": "b"} for n in (1, 2)])
    with pytest.raises(ValueError, match=r"is left for (validation|test).*; add conversations|to learn from"):
        write_conversations(empty, [own], tmp_path / "out", SHARES)


def test_held_out_are_just_those_that_are_not_learned_from(empty, tmp_path):
    settings = SHARES.model_copy(update={"system": "Be brief."})
    rows = [{"prompt": words(n), "completion": words(-n)} for n in range(1, 61)]
    own = [write_own(tmp_path / "a.jsonl", rows[:40]), write_own(tmp_path / "b.jsonl", rows[40:])]
    write_conversations(empty, own, tmp_path / "out", settings)
    expected = {
        record.id: f"{record.question}\n{record.answer}"
        for side in ("validation", "test")
        for record in read_side(tmp_path / "out", side)
    }
    assert write_held_out(own, tmp_path, settings) == {"documents": len(expected)}
    found = list(read(tmp_path / "documents.parquet", Document))
    assert {document.id: document.text for document in found} == expected
    assert 5 < len(expected) < 40


def test_what_is_added_to_learn_from_changes_no_byte_of_what_is_held_out(tmp_path):
    rows = [{"prompt": words(n), "completion": "Yes."} for n in range(100)]
    sides = choose_sides([ask(row["prompt"]) for row in rows], 0.2, 0.2)
    held_out = [row for row, side in zip(rows, sides, strict=True) if side != "train"]
    written = []
    for given in (rows, rows[::-1], rows + rows[:3], [*held_out, rows[sides.index("train")]]):
        write_held_out([write_own(tmp_path / "own.jsonl", given)], tmp_path, SHARES)
        written.append((tmp_path / "documents.parquet").read_bytes())
    assert len(set(written)) == 1
