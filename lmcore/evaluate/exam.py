"""Models and the questions of a held-out side in; marks beside cheap baselines, with intervals, out.

Everybody is asked the same, and answers greedily. Intervals are over documents (chapters), since questions of
one chapter are not independent; differences are paired, on the same questions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmcore.conversations.records import ExerciseFacts, Record, read_exercises, read_side
from lmcore.evaluate.answering import Answered, answer_questions
from lmcore.evaluate.baselines import baselines_for
from lmcore.evaluate.marks import (
    ROUGE_KINDS,
    Measure,
    Sheet,
    mark_answers,
    mean_measure,
    measures_of,
    summarize,
)
from lmcore.evaluate.metrics.rouge import Rouge
from lmcore.evaluate.settings import ExamConfig
from lmcore.lineage import Facts

Progress = Callable[[int, int], None]
ByExercise = dict[str, list[Record]]

CLAIM_NOTE = (
    "generalisation: asked of documents that no model was trained on; recall: asked of what stands on the "
    "train side, to be known by heart"
)


def examine(
    models: Mapping[str, Path],
    conversations: Path,
    out: Path,
    settings: ExamConfig,
    side: str,
    progress: Progress | None = None,
) -> Facts:
    """Ask each model the questions of a side; write `exam.json` and `answers.jsonl` into `out`.

    Args:
        models: model folders by the name that the report calls them.
        conversations: the folder that `write_conversations` filled.
        side: `validation` to choose among models, `test` to tell how good the chosen one is.
        progress: told answers given, and of how many.

    Returns:
        For each model its choice score (the mean of the main metrics of all exercises that claim
        generalisation) with bounds and each exercise's main metric, for baselines the latter.

    Raises:
        ValueError: no model, a model called as a baseline is, or no question on that side.
    """
    settings = settings.resolved()
    if not models:
        raise ValueError("no model to examine; name one or more")
    exercises = read_exercises(conversations)
    train, asked = _by_exercise(conversations, "train"), _by_exercise(conversations, side)
    asked = {name: asked[name][: settings.items_per_exercise] for name in exercises if name in asked}
    if not asked:
        raise ValueError(f"{conversations} has no question on the side {side}; hold out more documents")
    answered = _ask(models, train, asked, settings, progress)
    sheets = [
        _fill_in(name, exercises[name], train.get(name, []), records, answered, settings.seed)
        for name, records in asked.items()
    ]
    rouge = Rouge(ROUGE_KINDS, is_stemmed=settings.is_stemmed, tokenizer=settings.rouge_tokenizer)
    measures = {sheet.name: measures_of(sheet, rouge) for sheet in sheets}
    exam = _mark(sheets, measures, list(models), settings) | {"side": side}
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(exam, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    (out / "exam.json").write_text(text, encoding="utf-8")
    lines = (
        json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in _rows(sheets, models, rouge)
    )
    (out / "answers.jsonl").write_text("".join(lines), encoding="utf-8")
    return _facts(exam, sheets, list(models))


def _by_exercise(conversations: Path, side: str) -> ByExercise:
    found: ByExercise = {}
    for record in read_side(conversations, side):
        found.setdefault(record.exercise, []).append(record)
    return found


def _ask(
    models: Mapping[str, Path],
    train: ByExercise,
    asked: ByExercise,
    settings: ExamConfig,
    progress: Progress | None,
) -> dict[str, dict[str, list[Answered]]]:
    """By model and exercise, the answer to each question."""
    questions = [record for records in asked.values() for record in records]
    right = {name: [each.answer for each in (*train.get(name, ()), *asked[name])] for name in asked}
    answered: dict[str, dict[str, list[Answered]]] = {}
    for number, (model, folder) in enumerate(models.items()):

        def tell(done: int, total: int, before: int = number * len(questions)) -> None:
            if progress:
                progress(before + done, len(models) * len(questions))

        found = iter(
            answer_questions(folder, questions, right, settings.max_new_tokens, settings.device, tell)
        )
        answered[model] = {name: [next(found) for _ in records] for name, records in asked.items()}
    return answered


def _fill_in(
    name: str,
    facts: ExerciseFacts,
    train: Sequence[Record],
    records: Sequence[Record],
    answered: Mapping[str, Mapping[str, Sequence[Answered]]],
    seed: int,
) -> Sheet:
    """What models and baselines answered to an exercise."""
    answers = {model: [each.text for each in given[name]] for model, given in answered.items()}
    ended = {model: [each.has_ended for each in given[name]] for model, given in answered.items()}
    for baseline in baselines_for(facts) if train else ():
        called = baseline.__name__
        if called in answers:
            raise ValueError(f"a model is called '{called}', as a baseline is; give it another name")
        answers[called] = baseline(train, records, seed)
    cut = {model: sum(not each.fits for each in given[name]) for model, given in answered.items()}
    return Sheet(name, facts.claim, facts.answers, records, answers, ended, cut)


def _mark(
    sheets: Sequence[Sheet],
    measures: Mapping[str, Mapping[str, Measure]],
    models: Sequence[str],
    settings: ExamConfig,
) -> dict[str, Any]:
    dials = {"num_resamples": settings.num_resamples, "seed": settings.seed}
    exercises = {}
    for sheet in sheets:
        metrics, differences = summarize(measures[sheet.name], models, **dials)
        exercises[sheet.name] = {
            "claim": sheet.claim,
            "items": len(sheet.records),
            "documents": len({record.document for record in sheet.records}),
            "main_metric": sheet.main_metric,
            "questions_beyond_context": dict(sheet.num_cut),
            "metrics": metrics,
            "differences": differences,
        }
    return {
        "claim_note": CLAIM_NOTE,
        "exercises": exercises,
        "choice": _choice(sheets, measures, models, dials),
        "interval": f"95 % over documents, not seeds of training: {settings.num_resamples} bootstrap draws "
        "of whole documents with all their questions; differences are paired",
        "answers": f"greedy, cut at {settings.max_new_tokens} tokens at most",
        "rouge": {"score": "F", "is_stemmed": settings.is_stemmed, "tokenizer": settings.rouge_tokenizer},
    }


def _choice(
    sheets: Sequence[Sheet],
    measures: Mapping[str, Mapping[str, Measure]],
    models: Sequence[str],
    dials: Mapping[str, int],
) -> dict[str, Any]:
    """One number per model to choose by; what was learned by heart does not count."""
    judged = [sheet for sheet in sheets if sheet.claim == "generalisation"]
    if not judged:
        return {"metric": "", "scores": {}, "differences": {}}
    parts = [(sheet.records, measures[sheet.name][sheet.main_metric]) for sheet in judged]
    scores, differences = summarize({"choice": mean_measure(parts, models)}, models, **dials)
    told = " and ".join(f"{sheet.name} {sheet.main_metric}" for sheet in judged)
    return {
        "metric": told if len(judged) == 1 else f"mean of {told}",
        "scores": scores["choice"],
        "differences": differences["choice"],
    }


def _rows(sheets: Sequence[Sheet], models: Mapping[str, Path], rouge: Rouge) -> Iterator[dict[str, Any]]:
    """One row per question: what was wanted, what everybody said, and its mark."""
    for sheet in sheets:
        marks = {
            name: mark_answers(sheet, given, rouge)[sheet.main_metric]
            for name, given in sheet.answers.items()
        }
        for number, record in enumerate(sheet.records):
            said = {name: given[number] for name, given in sheet.answers.items()}
            yield {
                "id": record.id,
                "exercise": sheet.name,
                "document": record.document,
                "question": record.question,
                "wanted": record.answer,
                "answers": {name: said[name] for name in models},
                "baselines": {name: text for name, text in said.items() if name not in models},
                "metric": sheet.main_metric,
                "marks": {name: marks[name][number] for name in said},
            }


def _facts(exam: Mapping[str, Any], sheets: Sequence[Sheet], models: Sequence[str]) -> Facts:
    """The main numbers under flat names; `choice` is the best model's."""
    facts: dict[str, int | float | str] = {"questions": sum(len(sheet.records) for sheet in sheets)}
    scores = exam["choice"]["scores"]
    if scores:
        best = max(models, key=lambda model: scores[model]["value"])
        facts |= {"best": best, "choice": scores[best]["value"]}
    for model in scores:
        for bound, value in scores[model].items():
            if value is not None:
                facts[f"{model}_choice" if bound == "value" else f"{model}_choice_{bound}"] = value
    for sheet in sheets:
        for name, told in exam["exercises"][sheet.name]["metrics"][sheet.main_metric].items():
            facts[f"{name}_{sheet.name}_{sheet.main_metric}"] = told["value"]
    return facts
