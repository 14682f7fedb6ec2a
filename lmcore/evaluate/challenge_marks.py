"""How models that chat answer the questions on some documents: a mark for each document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from lmcore.conversations.records import ExerciseFacts, Record, read_exercises, read_side
from lmcore.evaluate.answering import answer_questions
from lmcore.evaluate.marks import ROUGE_KINDS, Sheet, mark_answers
from lmcore.evaluate.metrics.rouge import Rouge
from lmcore.evaluate.paired_scores import Floats
from lmcore.evaluate.scoring import Progress
from lmcore.evaluate.settings import ExamConfig


class MarkedQuestions:
    """The questions of a side that claim generalisation, on the documents that were asked for.

    The score is the mean over exercises of the mean mark of each, as in an exam. A question of an exercise
    with n questions weighs 1 / (E n) for E exercises, so that the score is a sum over documents.
    """

    def __init__(
        self, conversations: Path, side: str, documents: Collection[str], names: Mapping[str, str]
    ) -> None:
        """`names` gives the digest of a document by its id; an own conversation goes by its id.

        Raises:
            ValueError: the folder holds no conversations.
        """
        every = read_exercises(conversations)
        self.exercises = {name: facts for name, facts in every.items() if facts.claim == "generalisation"}
        wanted = set(documents)
        self.records: list[Record] = []
        self.documents: list[str] = []
        """Of each question, what it was made from."""
        for record in self._judged(conversations, side):
            if (document := names.get(record.document, record.document)) in wanted:
                self.records.append(record)
                self.documents.append(document)
        self.asked = Counter(record.exercise for record in self.records)
        self.right = {
            name: [each.answer for each in self.records if each.exercise == name] for name in self.asked
        }
        for record in self._judged(conversations, "train"):
            self.right.get(record.exercise, []).append(record.answer)

    @property
    def sources(self) -> dict[str, str]:
        """The documents with questions, and where each came from."""
        return {name: record.source for name, record in zip(self.documents, self.records, strict=True)}

    @property
    def metric(self) -> str:
        """What the score is the mean of."""
        if not self.asked:
            return "mean mark"
        told = [f"{name} {_sheet(name, self.exercises[name]).main_metric}" for name in self.asked]
        return told[0] if len(told) == 1 else f"mean of {' and '.join(told)}"

    def weights(self) -> Floats:
        """What the questions on each of `sources` weigh together, (N,); all of them sum to 1."""
        return self._by_document([1.0] * len(self.records))

    def marks(self, folder: Path, settings: ExamConfig, progress: Progress | None = None) -> Floats:
        """What a model folder's answers on each of `sources` were worth, (N,), at most its weight.

        Raises:
            ValueError: the folder is no model, or its tokenizer lacks the markers of a chat.
        """
        answered = answer_questions(
            folder, self.records, self.right, settings.max_new_tokens, settings.device, progress
        )
        rouge = Rouge(ROUGE_KINDS, is_stemmed=settings.is_stemmed, tokenizer=settings.rouge_tokenizer)
        marks = [0.0] * len(self.records)
        for name in self.asked:
            places = [at for at, record in enumerate(self.records) if record.exercise == name]
            sheet = _sheet(name, self.exercises[name], [self.records[at] for at in places])
            given = mark_answers(sheet, [answered[at].text for at in places], rouge)[sheet.main_metric]
            for at, mark in zip(places, given, strict=True):
                marks[at] = mark
        return self._by_document(marks)

    def _judged(self, conversations: Path, side: str) -> list[Record]:
        return [record for record in read_side(conversations, side) if record.exercise in self.exercises]

    def _by_document(self, values: Sequence[float]) -> Floats:
        places = {name: place for place, name in enumerate(self.sources)}
        sums = np.zeros(len(places))
        for document, record, value in zip(self.documents, self.records, values, strict=True):
            sums[places[document]] += value / (len(self.asked) * self.asked[record.exercise])
        return sums


def _sheet(name: str, facts: ExerciseFacts, records: Sequence[Record] = ()) -> Sheet:
    return Sheet(name, facts.claim, facts.answers, records, {}, {})
