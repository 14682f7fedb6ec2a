"""One exercise a file: the documents of one side become questions with their answers.

An exercise is a pure function of a `Shelf`; its keyword-only parameters are its settings. It sees the
documents of one side and no other; of the others it knows the names of files. An exercise that claims recall
asks for what stands on the train side, on every side the same: it is called once, with the train side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

from pydantic import Field

from lmcore.conversations.records import Answers, Claim
from lmcore.conversations.works import Works
from lmcore.corpus.document import Document
from lmcore.corpus.ledger import Side
from lmcore.registry import Registry

Count = Annotated[int, Field(ge=0)]
Words = Annotated[int, Field(ge=8)]


@dataclass(frozen=True)
class Shelf:
    """What an exercise is made from."""

    side: Side
    documents: Sequence[Document]
    works: Works
    seed: str

    def choose(self, num_train: int, num_held_out: int) -> int:
        """How many items this side is to have."""
        return num_train if self.side == "train" else num_held_out


class Item(NamedTuple):
    """One question with its answer; `name` is its own within the exercise."""

    name: str
    document: Document
    question: str
    answer: str


@dataclass(frozen=True)
class Made:
    """What an exercise made of a shelf."""

    items: Sequence[Item]
    answers: Answers
    claim: Claim = "generalisation"
    note: str = ""
    """Why there is nothing, for a reader of reports."""
    repeats: int = field(default=1)
    """How often each item is to stand on the train side."""


Exercise = Callable[..., Made]
exercises: Registry[Exercise] = Registry("exercise", "lmcore.conversations.exercises")
