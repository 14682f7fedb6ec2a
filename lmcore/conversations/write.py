"""A corpus and the user's own files become conversations, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from lmcore.config import SettingsError
from lmcore.conversations.exercises import Made, Shelf
from lmcore.conversations.own import Sides, own_name, read_own
from lmcore.conversations.records import (
    Answers,
    Claim,
    ExerciseFacts,
    Record,
    SideFacts,
    make_record,
    write_exercises,
    write_side,
)
from lmcore.conversations.settings import ConversationsConfig, ExercisePart
from lmcore.conversations.works import Works
from lmcore.corpus.document import Document, read
from lmcore.corpus.ledger import SIDES, Side
from lmcore.lineage import Facts

Progress = Callable[[int, int], None]

MOST_LABELS, LABEL_USES = 50, 5
"""Own answers are labels if the train side has at most so many distinct ones, each this often on average."""


def write_conversations(
    corpus: Path,
    own: Sequence[Path],
    out: Path,
    settings: ConversationsConfig,
    progress: Progress | None = None,
) -> Facts:
    """Write `train`, `validation`, `test.jsonl` and `exercises.json` into `out`; returns counts as facts.

    Exercises of a side are made from the corpus's documents of that side alone; one that claims recall is
    made from the train side and stands on all. Own conversations are an exercise called as their file.

    Args:
        corpus: the folder that `split_corpus` filled.
        own: JSON Lines files, see `read.py`.
        progress: told exercises done, and of how many.

    Raises:
        UnreadableFileError: an own file cannot be read; names file and line.
        SettingsError: two exercises have one name, there is nothing to learn from, or own conversations are
            too few for each side that has a share of them.
    """
    found: Sides = {side: [] for side in SIDES}
    exercises: dict[str, ExerciseFacts] = {}
    documents = {side: list(read(corpus / f"{side}.parquet", Document)) for side in SIDES}
    works = Works.of(documents)
    names = [*(part.type for part in settings.exercises), *map(own_name, own)]
    if twice := sorted(name for name, times in Counter(names).items() if times > 1):
        raise SettingsError(f"two exercises are called '{twice[0]}'; rename the file of that name")
    for done, name in enumerate(names):
        if done < len(settings.exercises):
            exercises[name], sides = _make(settings.exercises[done], documents, works, settings)
        else:
            exercises[name], sides = _take_own(own[done - len(settings.exercises)], settings)
        for side in SIDES:
            found[side] += sides[side]
        if progress:
            progress(done + 1, len(names))
    if not found["train"]:
        notes = "; ".join(f"{name}: {facts.note}" for name, facts in exercises.items() if facts.note)
        raise SettingsError(
            f"no conversation to learn from ({notes or 'no exercise is chosen'}); add own files"
        )
    if own:
        _check_sides(found, settings)
    out.mkdir(parents=True, exist_ok=True)
    for side in SIDES:
        write_side(found[side], out, side)
    write_exercises(exercises, out)
    return _facts(found, exercises)


def _make(
    part: ExercisePart,
    documents: Mapping[Side, Sequence[Document]],
    works: Works,
    settings: ConversationsConfig,
) -> tuple[ExerciseFacts, Sides]:
    """An exercise on every side."""
    make = part.build()
    seed = f"{settings.seed} {part.type}"
    shelves = [Shelf(side, documents[side], works, seed) for side in SIDES]
    on_train: Made = make(shelves[0])
    is_recall = on_train.claim == "recall"
    sides: Sides = {}
    for shelf in shelves:
        made: Made = on_train if is_recall or shelf.side == "train" else make(shelf)
        repeats = made.repeats if shelf.side == "train" else 1
        sides[shelf.side] = list(_records(made, part.type, repeats, settings.system))
    note = on_train.note or _note_empty(sides)
    return _describe(sides, on_train.claim, on_train.answers, note), sides


def _records(made: Made, exercise: str, repeats: int, system: str | None) -> Iterable[Record]:
    for repeat in range(repeats):
        for item in made.items:
            yield make_record(
                item.question,
                item.answer,
                system=system,
                id=f"{exercise}/{item.name}" + (f"/{repeat + 1}" if repeat else ""),
                exercise=exercise,
                document=item.document.id,
                source=item.document.source,
            )


def _take_own(path: Path, settings: ConversationsConfig) -> tuple[ExerciseFacts, Sides]:
    """The conversations of an own file, on their sides."""
    sides, num_read = read_own(path, settings)
    copies = num_read - sum(map(len, sides.values()))
    note = _note_empty(sides) or (f"{copies} copies were left out" if copies else "")
    return _describe(sides, "generalisation", _kind_of_answers(sides["train"]), note), sides


def _kind_of_answers(train: Sequence[Record]) -> Answers:
    num_distinct = len({record.answer for record in train})
    is_label = num_distinct <= MOST_LABELS and num_distinct * LABEL_USES <= len(train)
    return "label" if is_label and train else "free"


def _check_sides(found: Sides, settings: ConversationsConfig) -> None:
    shares = {"validation": settings.validation_share, "test": settings.test_share}
    for side in SIDES:
        if shares.get(side) and not found[side]:
            raise SettingsError(
                f"no conversation is left for {side}: each side needs some of its own whose prompts are "
                "not like those of another side; add conversations"
            )


def _note_empty(sides: Sides) -> str:
    empty = [side for side in SIDES if not sides[side]]
    return f"nothing on the sides {', '.join(empty)}: too few texts stand there" if empty else ""


def _describe(sides: Sides, claim: Claim, answers: Answers, note: str) -> ExerciseFacts:
    told = {}
    for side, records in sides.items():
        counts = Counter(record.answer for record in records) if answers == "label" else {}
        told[side] = SideFacts(
            conversations=len(records),
            documents=len({record.document for record in records}),
            answers=dict(sorted(counts.items())),
        )
    return ExerciseFacts(claim=claim, answers=answers, note=note, sides=told)


def _facts(found: Sides, exercises: Mapping[str, ExerciseFacts]) -> Facts:
    facts: dict[str, int | float | str] = {f"{side}_conversations": len(found[side]) for side in SIDES}
    for name, told in exercises.items():
        facts |= {f"{name}_{side}": told.sides[side].conversations for side in SIDES}
    return facts
