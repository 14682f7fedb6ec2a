"""Any answer: how much two answers of an exercise have in common by chance."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from lmcore.conversations.records import Record


def random_answer(train: Sequence[Record], asked: Sequence[Record], seed: int = 0) -> list[str]:
    """For each question the answer of another one of the train side, at random."""
    answers = sorted({record.answer for record in train})
    return [answers[draw(f"{seed} {record.id}", len(answers))] for record in asked]


def draw(name: str, number: int) -> int:
    """A number from 0 below `number` that follows from the name alone."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big") % number
