"""The record of a conversation with where it came from, and the files of the conversations product."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from lmcore.chat.conversation import Conversation, Message
from lmcore.config import Config, explain

EXERCISES = "exercises.json"
Claim = Literal["generalisation", "recall"]
Answers = Literal["label", "extract", "free"]
"""One of few distinct answers, a part of what was read, or any text."""


class Record(Conversation):
    """A conversation that ends with the assistant's answer."""

    id: str
    exercise: str
    document: str
    """The id of the document that it was made from; a user's own conversation has its own id here."""
    source: str

    @model_validator(mode="after")
    def _ends_with_an_answer(self) -> Self:
        if len(self.messages) < 2 or self.messages[-1].role != "assistant":
            raise ValueError(f"ends with '{self.messages[-1].role}', expected a question and its answer")
        return self

    @property
    def prompt(self) -> Conversation:
        """All that the assistant is given before it answers."""
        return Conversation(messages=self.messages[:-1])

    @property
    def question(self) -> str:
        """What the user said last."""
        return self.messages[-2].content

    @property
    def answer(self) -> str:
        """The wanted answer."""
        return self.messages[-1].content


class SideFacts(Config):
    """What an exercise has on one side."""

    conversations: int
    documents: int
    answers: dict[str, int] = Field(default_factory=dict)
    """How often each is the right one, where there are few distinct ones."""


class ExerciseFacts(Config):
    """What an exercise is, and how much of it there is."""

    claim: Claim
    """What a score on the held-out sides shows: that it works on unseen documents, or that it was learned."""
    answers: Answers
    note: str = ""
    """Why nothing was made, or what a reader of scores has to know."""
    sides: dict[str, SideFacts]


def make_record(question: str, answer: str, *, system: str | None = None, **fields: str) -> Record:
    """One question and its answer as a record; the other fields are the record's own."""
    start = [Message(role="system", content=system)] if system else []
    turns = [Message(role="user", content=question), Message(role="assistant", content=answer)]
    return Record(messages=(*start, *turns), **fields)


def write_side(records: Iterable[Record], folder: Path, side: str) -> int:
    """Write one side's records, in their order; returns how many."""
    lines = [
        json.dumps(record.model_dump(mode="json"), sort_keys=True, ensure_ascii=False) for record in records
    ]
    (folder / f"{side}.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return len(lines)


def read_side(folder: Path, side: str) -> list[Record]:
    """One side's records, in their order.

    Raises:
        ValueError: no such file, or a line that is no record.
    """
    path = folder / f"{side}.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError:
        raise ValueError(f"{folder} has no {path.name}; expected a folder of conversations") from None
    return [_parse(path, number, line) for number, line in enumerate(lines, start=1) if line]


def write_exercises(exercises: dict[str, ExerciseFacts], folder: Path) -> None:
    """Write what each exercise is."""
    document = {name: facts.model_dump(mode="json") for name, facts in exercises.items()}
    text = json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False)
    (folder / EXERCISES).write_text(text + "\n", encoding="utf-8")


def read_exercises(folder: Path) -> dict[str, ExerciseFacts]:
    """What each exercise is, by name.

    Raises:
        ValueError: no such file, or it is damaged.
    """
    try:
        document: dict[str, Any] = json.loads((folder / EXERCISES).read_text(encoding="utf-8"))
        return {name: ExerciseFacts.model_validate(facts) for name, facts in document.items()}
    except (OSError, ValueError, AttributeError):
        raise ValueError(
            f"{folder} has no readable {EXERCISES}; expected a folder of conversations"
        ) from None


def _parse(path: Path, number: int, line: str) -> Record:
    try:
        return Record.model_validate(json.loads(line))
    except ValidationError as error:
        raise ValueError(f"{path}, line {number}: {explain(error, Record)}") from None
    except ValueError:
        raise ValueError(f"{path}, line {number}: not JSON; restore or rebuild the file") from None
