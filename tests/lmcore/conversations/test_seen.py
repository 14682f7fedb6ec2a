import pytest

from lmcore.conversations.seen import own_records, read_seen_conversations, write_seen_conversations


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
    assert set(own_records(conversations, "test")) < seen["train"]


def test_a_damaged_record_is_refused(conversations):
    with pytest.raises(ValueError, match="nobody knows what its model saw"):
        read_seen_conversations(conversations)
