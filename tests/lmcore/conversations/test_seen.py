import json

import pytest

from lmcore.conversations.seen import (
    compare_conversations,
    own_digests,
    own_records,
    read_seen_conversations,
    write_seen_conversations,
)


def line(number: int, document: str = "") -> str:
    own = f"own/a.jsonl#{number}"
    asked = f'{{"role": "user", "content": "What is {number}?"}}, {{"role": "assistant", "content": "It."}}'
    return (
        f'{{"messages": [{asked}], "id": "{own}", "exercise": "own", "source": "own", '
        f'"document": "{document or own}"}}\n'
    )


@pytest.fixture
def conversations(tmp_path):
    for side, numbers in (("train", (1, 2)), ("validation", (3,)), ("test", (4, 5))):
        (tmp_path / f"{side}.jsonl").write_text("".join(map(line, numbers)) + line(9, "book/a.txt#1"))
    return tmp_path


def test_own_conversations_are_remembered_by_what_was_asked_whatever_their_place(conversations):
    write_seen_conversations(conversations, conversations)
    seen = read_seen_conversations(conversations)
    assert {side: len(digests) for side, digests in seen.items()} == {"train": 2, "validation": 1, "test": 2}
    moved = line(1).replace("a.jsonl#1", "b.jsonl#77")
    (conversations / "test.jsonl").write_text(moved)
    assert set(own_records(conversations, "test")) < seen["train"].keys()


def test_a_damaged_record_is_refused(conversations):
    with pytest.raises(ValueError, match="nobody knows what its model saw"):
        read_seen_conversations(conversations)


def test_a_new_question_another_answer_and_what_is_gone_are_counted_wherever_they_moved(conversations):
    write_seen_conversations(conversations, conversations)
    seen = read_seen_conversations(conversations)
    assert set(compare_conversations(seen, own_digests(conversations)).values()) == {0}
    (conversations / "train.jsonl").write_text(line(5) + line(6) + line(2).replace("It.", "She."))
    (conversations / "test.jsonl").write_text(line(4))
    assert compare_conversations(seen, own_digests(conversations)) == {"new": 1, "changed": 1, "gone": 1}


def test_of_a_version_that_noted_no_answers_none_is_taken_for_changed(conversations):
    sides = {"train": [*own_records(conversations, "train")][:1], "validation": [], "test": []}
    (conversations / "own_conversations.json").write_text(json.dumps(sides))
    seen, now = read_seen_conversations(conversations), own_digests(conversations)
    assert compare_conversations(seen, now) == {"new": 4, "changed": 0, "gone": 0}
