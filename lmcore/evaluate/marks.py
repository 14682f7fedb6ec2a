"""From answers to scores with intervals: a score is a function of sums over documents, whatever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmcore.conversations.records import Answers, Claim, Record
from lmcore.evaluate.bootstrap import Interval, bootstrap_sums
from lmcore.evaluate.metrics.exact import exact_match, normalize
from lmcore.evaluate.metrics.rouge import Rouge

Floats = NDArray[np.float64]
Entry = dict[str, float | None]
ROUGE_KINDS = ("rouge1", "rouge2", "rougeL")
MAIN_METRICS: Mapping[Answers, str] = {"label": "accuracy", "extract": "rougeL", "free": "rougeL"}
"""What an exercise is judged by."""


@dataclass(frozen=True)
class Sheet:
    """One exercise with what everybody answered."""

    name: str
    claim: Claim
    kind: Answers
    records: Sequence[Record]
    answers: Mapping[str, Sequence[str]]
    """By model or baseline, one for each record."""
    ended: Mapping[str, Sequence[bool]]
    """By model: whether it ended the answer by itself."""
    num_cut: Mapping[str, int] = field(default_factory=dict)
    """By model: questions that are longer than its context."""

    @property
    def main_metric(self) -> str:
        """What this exercise is judged by."""
        return MAIN_METRICS[self.kind]


@dataclass(frozen=True)
class Measure:
    """A metric of one exercise: sums per document for everybody, and the score that they make."""

    rows: Mapping[str, Floats]
    """By model or baseline, (N, C)."""
    score: Callable[[Floats], Floats]
    """(R, C) sums to R scores."""

    def interval(self, name: str, **dials: int) -> Entry:
        """The score of a model or baseline."""
        return entry(bootstrap_sums(self.rows[name], self.score, **dials))

    def difference(self, first: str, second: str, **dials: int) -> Entry:
        """The first's score less the second's on the same documents."""
        columns = self.rows[first].shape[1]

        def score(sums: Floats) -> Floats:
            return self.score(sums[:, :columns]) - self.score(sums[:, columns:])

        return entry(bootstrap_sums(np.hstack([self.rows[first], self.rows[second]]), score, **dials))


def measures_of(sheet: Sheet, rouge: Rouge) -> dict[str, Measure]:
    """Every metric of an exercise: labels are right or wrong, other answers more or less the wanted one."""
    documents = number_documents(sheet.records)
    marks = {name: mark_answers(sheet, given, rouge) for name, given in sheet.answers.items()}
    metrics = list(next(iter(marks.values())))
    measures = {
        metric: Measure({name: _sums(each[metric], documents) for name, each in marks.items()}, _ratio)
        for metric in metrics
    }
    if sheet.kind == "label":
        measures["macro_f1"] = _f1_measure(sheet, documents)
    if sheet.ended:
        ended = {name: _sums(each, documents) for name, each in sheet.ended.items()}
        measures["ended"] = Measure(ended, _ratio)
    return measures


def mark_answers(sheet: Sheet, answers: Sequence[str], rouge: Rouge) -> dict[str, list[float]]:
    """By metric, the mark of each answer, from 0 to 1."""
    pairs = [(record.answer, answer) for record, answer in zip(sheet.records, answers, strict=True)]
    exact = [exact_match(*pair) for pair in pairs]
    if sheet.kind == "label":
        return {"accuracy": exact}
    scores = [rouge.score(*pair) for pair in pairs]
    return {"exact_match": exact, **{kind: [score[kind].f for score in scores] for kind in rouge.kinds}}


def summarize(
    measures: Mapping[str, Measure], models: Sequence[str], **dials: int
) -> tuple[dict[str, dict[str, Entry]], dict[str, dict[str, Entry]]]:
    """Scores by metric and name, and differences by metric and `A - B`.

    Each model is set beside each before it and beside each baseline.
    """
    scores: dict[str, dict[str, Entry]] = {}
    differences: dict[str, dict[str, Entry]] = {}
    for metric, measure in measures.items():
        scores[metric] = {name: measure.interval(name, **dials) for name in measure.rows}
        baselines = [name for name in measure.rows if name not in models]
        pairs = [(second, first) for first, second in combinations(models, 2)]
        pairs += [(model, baseline) for model in models for baseline in baselines]
        differences[metric] = {f"{a} - {b}": measure.difference(a, b, **dials) for a, b in pairs}
    return scores, differences


def mean_measure(parts: Sequence[tuple[Sequence[Record], Measure]], models: Sequence[str]) -> Measure:
    """The mean of the scores of several exercises, over the documents of all of them together."""
    every = sorted({record.document for records, _ in parts for record in records})
    place = {document: number for number, document in enumerate(every)}
    rows = {}
    for model in models:
        blocks = []
        for records, measure in parts:
            own = sorted({record.document for record in records})
            block = np.zeros((len(every), measure.rows[model].shape[1]))
            block[[place[document] for document in own]] = measure.rows[model]
            blocks.append(block)
        rows[model] = np.hstack(blocks)
    widths = np.cumsum([measure.rows[models[0]].shape[1] for _, measure in parts])[:-1]

    def score(sums: Floats) -> Floats:
        blocks = np.split(sums, widths, axis=1)
        scored = [measure.score(block) for (_, measure), block in zip(parts, blocks, strict=True)]
        return np.mean(scored, axis=0)

    return Measure(rows, score)


def number_documents(records: Sequence[Record]) -> NDArray[np.int64]:
    """For each record the number of its document, in the order of their ids."""
    return np.unique([record.document for record in records], return_inverse=True)[1]


def entry(interval: Interval) -> Entry:
    """An interval as reports hold it."""
    return dict(interval._asdict())


def _sums(marks: Sequence[float], documents: NDArray[np.int64]) -> Floats:
    """Marks and how many there are, by document, (N, 2)."""
    return np.stack([np.bincount(documents, weights=each) for each in (marks, np.ones(len(marks)))], axis=1)


def _ratio(sums: Floats) -> Floats:
    return sums[:, 0] / sums[:, 1]


def _f1_measure(sheet: Sheet, documents: NDArray[np.int64]) -> Measure:
    """Macro F1: the mean over wanted labels of 2 hits / (given + wanted); rows are (N, 3 L)."""
    wanted = [normalize(record.answer) for record in sheet.records]
    labels = sorted(set(wanted))
    is_wanted = np.array([[each == label for label in labels] for each in wanted])
    rows = {}
    for name, answers in sheet.answers.items():
        given = np.array([[normalize(answer) == label for label in labels] for answer in answers])
        counts = np.hstack([is_wanted & given, given, is_wanted])  # (items, 3 L)
        by_document = [np.bincount(documents, weights=column) for column in counts.T]
        rows[name] = np.stack(by_document, axis=1, dtype=np.float64)
    return Measure(rows, partial(_macro_f1, num_labels=len(labels)))


def _macro_f1(sums: Floats, num_labels: int) -> Floats:
    """A label that a resample neither wants nor gives counts in no mean."""
    hits, given, wanted = np.split(sums, [num_labels, 2 * num_labels], axis=1)
    both = given + wanted
    f1 = np.divide(2 * hits, both, out=np.zeros_like(both), where=both > 0)
    scores: Any = f1.sum(axis=1) / (both > 0).sum(axis=1)
    return scores
