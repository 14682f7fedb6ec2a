"""The user's own conversations, from JSON Lines in any of four forms.

    {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}
    {"prompt": "...", "completion": "..."}
    {"instruction": "...", "input": "...", "output": "..."}       input may be left out
    {"question": "...", "answer": "..."}

Other fields of a line are passed over. A packed file is unpacked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lmcore.chat.conversation import Conversation
from lmcore.config import explain
from lmcore.corpus.inputs import InputFile, UnreadableFileError

FORMS = (("prompt", "completion"), ("instruction", "output"), ("question", "answer"))
EXPECTED = "messages, or " + ", or ".join(" and ".join(form) for form in FORMS)


def read_conversations(path: Path, system: str | None = None) -> Iterator[Conversation]:
    """The conversations of a file, in order, each ending with the assistant's answer.

    Args:
        system: a system message for those that have none.

    Raises:
        UnreadableFileError: the file cannot be read, or a line is no conversation; names file and line.
    """
    for number, _, line in InputFile(path).lines():
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield _conversation(line, system, f"{path}, line {number}")


def _conversation(line: bytes, system: str | None, where: str) -> Conversation:
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UnreadableFileError(
            where, f"byte {line[error.start]:#04x} is not UTF-8; convert the file"
        ) from None
    except (json.JSONDecodeError, RecursionError):
        raise UnreadableFileError(where, "not JSON; expected one object a line") from None
    if not isinstance(record, dict):
        raise UnreadableFileError(where, f"{type(record).__name__}, expected an object with {EXPECTED}")
    messages = _messages(record, where)
    if system and isinstance(messages, list) and messages and _role(messages[0]) != "system":
        messages = [{"role": "system", "content": system}, *messages]
    try:
        conversation = Conversation.model_validate({"messages": messages})
    except ValidationError as error:
        raise UnreadableFileError(where, explain(error, Conversation)) from None
    _check(conversation, where)
    return conversation


def _messages(record: dict[str, Any], where: str) -> Any:
    """The record's turns, whatever form it has; their types are checked later."""
    if "messages" in record:
        turns = record["messages"]
        if isinstance(turns, list) and all(isinstance(turn, dict) for turn in turns):
            return [{name: turn[name] for name in ("role", "content") if name in turn} for turn in turns]
        return turns
    for question, answer in FORMS:
        if question in record and answer in record:
            asked = record[question]
            if question == "instruction" and record.get("input"):
                asked = f"{asked}\n\n{record['input']}"
            return [{"role": "user", "content": asked}, {"role": "assistant", "content": record[answer]}]
    there = ", ".join(sorted(map(str, record))) or "no field"
    raise UnreadableFileError(where, f"has {there}; expected {EXPECTED}")


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def _check(conversation: Conversation, where: str) -> None:
    last = conversation.messages[-1]
    if last.role != "assistant" or len(conversation.messages) < 2:
        raise UnreadableFileError(
            where, f"ends with '{last.role}'; expected an answer from 'assistant' at the end"
        )
    for number, message in enumerate(conversation.messages, start=1):
        if not message.content.strip():
            raise UnreadableFileError(where, f"message {number} ('{message.role}') is empty; expected text")
        try:
            message.content.encode("utf-8")
        except UnicodeEncodeError:
            raise UnreadableFileError(
                where, f"message {number} holds half of a surrogate pair; export the file anew as UTF-8"
            ) from None
