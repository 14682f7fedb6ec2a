import re
from collections import Counter

import pytest

from lmcore.conversations.draw import shuffled, spread
from lmcore.conversations.passages import body, sentences
from lmcore.conversations.records import read_exercises, read_side
from lmcore.conversations.settings import ConversationsConfig, ExercisePart
from lmcore.conversations.write import write_conversations
from lmcore.corpus.document import Document, read

SIDES = ("train", "validation", "test")
EXERCISES = [
    {"type": "name_source", "num_train": 60, "num_held_out": 12, "passage_words": 30, "max_files": 5},
    {
        "type": "quote_sentence",
        "num_train": 40,
        "num_held_out": 10,
        "passage_words": 40,
        "num_common_words": 12,
    },
    {"type": "recite", "num_items": 8, "num_repeats": 3, "max_files": 5},
]
SETTINGS = ConversationsConfig(exercises=EXERCISES)


@pytest.fixture(scope="module")
def made(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("conversations")
    write_conversations(corpus, [], folder, SETTINGS)
    return folder


@pytest.fixture(scope="module")
def texts(corpus):
    """By side, the text of each document with single spaces, by id."""
    return {
        side: {
            each.id: " ".join(" ".join(body(each)).split())
            for each in read(corpus / f"{side}.parquet", Document)
        }
        for side in SIDES
    }


def records(folder, exercise):
    return {side: [each for each in read_side(folder, side) if each.exercise == exercise] for side in SIDES}


def test_names_are_balanced_and_every_passage_is_from_the_work_that_it_is_said_to_be_from(made, texts):
    for side, each in records(made, "name_source").items():
        counts = Counter(record.answer for record in each)
        assert set(counts) == {"Grey Mill", "The Tower", "Old Songs"}
        assert max(counts.values()) - min(counts.values()) <= 1
        for record in each:
            passage = record.question.removesuffix("\n\nWhich book is this passage from?")
            assert passage in texts[side][record.document]
            assert record.answer == {
                "grey_mill.txt.gz": "Grey Mill",
                "the_tower.txt.gz": "The Tower",
            }.get(record.document.split("/")[1].partition("#")[0], "Old Songs")


def test_no_passage_holds_a_heading_a_number_of_a_verse_or_the_name_of_its_work(made):
    for each in records(made, "name_source").values():
        for record in each:
            assert "CHAPTER" not in record.question
            assert not re.search(r"(^|\s)\d+ ", record.question)
            assert record.answer.casefold() not in record.question.casefold()


def test_passages_are_spread_over_the_chapters(made):
    counts = Counter(
        record.document for record in records(made, "name_source")["train"] if record.source == "novels"
    )
    assert len(counts) == 16
    assert max(counts.values()) - min(counts.values()) <= 1


def test_chapters_never_cross_sides_except_to_be_recalled(made, texts):
    for exercise, facts in read_exercises(made).items():
        asked = {side: {each.document for each in found} for side, found in records(made, exercise).items()}
        for side in SIDES:
            home = "train" if facts.claim == "recall" else side
            assert asked[side] <= set(texts[home])
    assert [name for name, facts in read_exercises(made).items() if facts.claim == "recall"] == ["recite"]


def test_the_quoted_sentence_is_the_only_one_that_holds_the_word(made, texts):
    for side, each in records(made, "quote_sentence").items():
        assert each
        for record in each:
            passage, _, question = record.question.partition("\n\n")
            word = question.removeprefix("Quote the sentence with the word ").removesuffix(".")
            holders = [told for told in sentences(passage) if re.search(rf"\b{word}\b", told, re.IGNORECASE)]
            assert holders == [record.answer]
            assert passage in texts[side][record.document]
            assert len(sentences(passage)) >= 3
            assert word.casefold() not in {"the", "near", "again", "then"}


def test_recall_is_of_the_same_few_items_on_every_side(made, texts):
    recited = records(made, "recite")
    held_out = {record.question: record.answer for record in recited["validation"]}
    assert len(held_out) == 8
    assert Counter(record.question for record in recited["train"]) == dict.fromkeys(held_out, 3)
    assert [record.messages for record in recited["test"]] == [
        each.messages for each in recited["validation"]
    ]
    assert any(re.fullmatch(r"Recite Songs \d+:\d+\.", question) for question in held_out)
    assert any(
        "first sentence of CHAPTER" in question and "of The Tower." in question for question in held_out
    )
    for record in recited["train"]:
        assert record.answer in texts["train"][record.document]


def test_ids_are_unique(made):
    for side in SIDES:
        ids = [record.id for record in read_side(made, side)]
        assert len(ids) == len(set(ids))


def test_the_same_settings_give_the_same_bytes_and_another_seed_others(corpus, made, tmp_path):
    write_conversations(corpus, [], tmp_path / "again", SETTINGS)
    write_conversations(corpus, [], tmp_path / "other", SETTINGS.model_copy(update={"seed": 1}))
    for name in ("train.jsonl", "validation.jsonl", "test.jsonl", "exercises.json"):
        assert (tmp_path / "again" / name).read_bytes() == (made / name).read_bytes()
    assert (tmp_path / "other" / "train.jsonl").read_bytes() != (made / "train.jsonl").read_bytes()


def test_what_was_made_is_told(corpus, made, tmp_path):
    told = []
    facts = write_conversations(corpus, [], tmp_path, SETTINGS, lambda *done: told.append(done))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert facts["name_source_train"] == 60
    assert facts["train_conversations"] == len(read_side(made, "train"))
    exercises = read_exercises(made)
    assert exercises["name_source"].sides["validation"].answers == {
        "Grey Mill": 4,
        "Old Songs": 4,
        "The Tower": 4,
    }
    assert (exercises["name_source"].answers, exercises["quote_sentence"].answers) == ("label", "extract")


def test_a_system_message_stands_in_front_of_every_conversation(corpus, tmp_path):
    write_conversations(corpus, [], tmp_path, SETTINGS.model_copy(update={"system": "Be brief."}))
    for record in read_side(tmp_path, "test"):
        assert [message.role for message in record.messages] == ["system", "user", "assistant"]
        assert record.messages[0].content == "Be brief."


def test_a_corpus_of_one_work_has_nothing_to_name_and_the_rest_goes_on(corpus, make_sides, tmp_path):
    sides = [
        [each for each in read(corpus / f"{side}.parquet", Document) if "mill" in each.file] for side in SIDES
    ]
    write_conversations(make_sides(tmp_path / "corpus", *sides), [], tmp_path / "out", SETTINGS)
    exercises = read_exercises(tmp_path / "out")
    assert "one work" in exercises["name_source"].note
    assert exercises["name_source"].sides["train"].conversations == 0
    assert exercises["quote_sentence"].sides["train"].conversations > 0


def test_nothing_to_learn_from_is_refused(make_sides, tmp_path):
    blank = Document("s/f#1", "s", "f.txt", 1, "", "Too short.", "")
    corpus = make_sides(tmp_path / "corpus", [blank], [], [])
    with pytest.raises(ValueError, match=r"no conversation to learn from .*the corpus is one work"):
        write_conversations(corpus, [], tmp_path / "out", SETTINGS)


def test_a_new_document_moves_no_item_that_is_not_crowded_out():
    documents = [Document(f"s/f#{number}", "s", "f", 1, "", "", "") for number in range(20)]

    def taken(known):
        found = spread({"work": known}, 12, lambda document: [f"{document.id} piece"], "seed")
        return {document.id for _, document, _, _ in found}

    before, after = taken(documents[:19]), taken(documents)
    assert len(before) == len(after) == 12
    assert after - before <= {"s/f#19"}
    assert shuffled(documents, "seed", lambda each: each.id) == shuffled(
        documents[::-1], "seed", lambda each: each.id
    )


def test_a_group_that_runs_dry_is_not_made_up_for():
    rich = [Document(f"r/f#{number}", "r", "f", 1, "", "", "") for number in range(9)]
    poor = [Document("p/f#1", "p", "f", 1, "", "", "")]
    found = spread({"rich": rich, "poor": poor}, 8, lambda document: ["one", "two"], "seed")
    assert Counter(group for group, *_ in found) == {"rich": 4, "poor": 2}


@pytest.mark.parametrize(
    ("exercises", "message"),
    [
        ([{"type": "quote_sentence", "question": "Which one?"}], "asks for no word; write {word}"),
        ([{"type": "name_source", "num_trian": 3}], "unknown setting 'num_trian'"),
        (["recite", "recite"], "exercise 'recite' stands 2 times"),
        (["resite"], "Did you mean 'recite'"),
    ],
)
def test_settings_that_cannot_be_are_refused(exercises, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ConversationsConfig(exercises=exercises)


def test_all_dials_stand_in_the_settings():
    assert ExercisePart(type="name_source").dials["num_train"] == 900
