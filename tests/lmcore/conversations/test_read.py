import gzip
import json
import re

import pytest

from lmcore.conversations.read import read_conversations


def write(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def turns(conversation):
    return [(message.role, message.content) for message in conversation.messages]


@pytest.mark.parametrize(
    ("row", "question"),
    [
        ({"prompt": "Hi?", "completion": "Yo."}, "Hi?"),
        ({"instruction": "Hi?", "output": "Yo.", "input": ""}, "Hi?"),
        ({"instruction": "Say it.", "input": "Hi?", "output": "Yo."}, "Say it.\n\nHi?"),
        ({"question": "Hi?", "answer": "Yo.", "id": 7}, "Hi?"),
        (
            {
                "messages": [
                    {"role": "user", "content": "Hi?", "at": 1},
                    {"role": "assistant", "content": "Yo."},
                ]
            },
            "Hi?",
        ),
    ],
)
def test_all_forms_become_one(tmp_path, row, question):
    (found,) = read_conversations(write(tmp_path / "own.jsonl", row))
    assert turns(found) == [("user", question), ("assistant", "Yo.")]


def test_long_conversations_packed_files_blank_lines_and_marks_of_byte_order_are_read(tmp_path):
    messages = [
        {"role": role, "content": role} for role in ("system", "user", "assistant", "user", "assistant")
    ]
    text = (
        "\ufeff"
        + json.dumps({"messages": messages})
        + "\n\n"
        + json.dumps({"prompt": "é", "completion": "è"})
    )
    (tmp_path / "own.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    long, short = read_conversations(tmp_path / "own.jsonl.gz")
    assert [role for role, _ in turns(long)] == ["system", "user", "assistant", "user", "assistant"]
    assert turns(short) == [("user", "é"), ("assistant", "è")]


def test_a_system_message_is_put_in_front_where_there_is_none(tmp_path):
    own = [
        {"role": "system", "content": "Own."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]
    path = write(tmp_path / "own.jsonl", {"prompt": "a", "completion": "b"}, {"messages": own})
    assert [turns(each)[0] for each in read_conversations(path, "Be brief.")] == [
        ("system", "Be brief."),
        ("system", "Own."),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "a", "text": "b"}, "has prompt, text; expected messages, or prompt and completion, or"),
        ({}, "has no field; expected messages"),
        ("[1]", "list, expected an object with messages"),
        ("{", "not JSON; expected one object a line"),
        ({"prompt": 3, "completion": "b"}, "'messages.0.content' is 3; input should be a valid string"),
        ({"prompt": "a", "completion": " "}, "message 2 ('assistant') is empty; expected text"),
        ({"messages": "hello"}, "'messages' is 'hello'"),
        (
            {"messages": [{"role": "user", "content": "a"}]},
            "ends with 'user'; expected an answer from 'assistant'",
        ),
        (
            {"messages": [{"role": "assistant", "content": "a"}]},
            "message 1 is from 'assistant', expected 'user'",
        ),
        ({"messages": []}, "'messages'"),
        ('{"prompt": "\\ud800", "completion": "b"}', "message 1 holds half of a surrogate pair"),
    ],
)
def test_what_is_no_conversation_is_refused_with_file_and_line(tmp_path, row, message):
    path = write(tmp_path / "own.jsonl", {"prompt": "a", "completion": "b"}, row)
    with pytest.raises(ValueError, match=re.escape(f"{path}, line 2: ")) as error:
        list(read_conversations(path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"gone.jsonl: No such file or directory; expected a file"):
        list(read_conversations(tmp_path / "gone.jsonl"))
    (tmp_path / "latin.jsonl").write_bytes('{"prompt": "é"}'.encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin.jsonl, line 1: byte 0xe9 is not UTF-8"):
        list(read_conversations(tmp_path / "latin.jsonl"))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"prompt": "a"}')[:-9])
    with pytest.raises(ValueError, match=r"cut.jsonl.gz: damaged archive"):
        list(read_conversations(tmp_path / "cut.jsonl.gz"))
