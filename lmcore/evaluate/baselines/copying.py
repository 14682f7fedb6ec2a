"""Copying from what was read, whatever was asked: the lead is a strong baseline (Nallapati et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low

from lmcore.conversations.passages import sentences
from lmcore.conversations.records import Record
from lmcore.evaluate.baselines.guessing import draw


def passage_of(question: str) -> str:
    """What was given to read: all in front of the last blank line, or the whole where there is none."""
    return question.rpartition("\n\n")[0].strip() or question.strip()


def first_sentence(train: Sequence[Record], asked: Sequence[Record], seed: int = 0) -> list[str]:
    """The first sentence of each passage."""
    return [_sentences(record)[0] for record in asked]


def random_sentence(train: Sequence[Record], asked: Sequence[Record], seed: int = 0) -> list[str]:
    """One sentence of each passage, at random."""
    return [(found := _sentences(record))[draw(f"{seed} {record.id}", len(found))] for record in asked]


def lead(train: Sequence[Record], asked: Sequence[Record], seed: int = 0) -> list[str]:
    """The first words of each passage, as many as the median answer of the train side has."""
    number = median_low(len(record.answer.split()) for record in train)
    return [" ".join(passage_of(record.question).split()[:number]) for record in asked]


def _sentences(record: Record) -> list[str]:
    found = [each for line in passage_of(record.question).split("\n") for each in sentences(line)]
    return found or [""]
