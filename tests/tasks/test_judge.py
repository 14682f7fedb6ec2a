"""What a look at a test set is noted for."""

from dataclasses import replace
from pathlib import Path

from lmcore.conversations.records import (
    ExerciseFacts,
    Record,
    SideFacts,
    make_record,
    write_exercises,
    write_side,
)
from lmcore.corpus.document import Document, write
from tasks.judge import with_questions


def chapter(number: int) -> Document:
    return Document(f"book/a.txt#{number}", "book", "a.txt", number, "", "", "").with_text(
        f"Chapter {number}."
    )


def own(number: int, place: str) -> Record:
    return make_record(f"What is {number}?", "It.", id=place, exercise="own", document=place, source="own")


def facts(number: int) -> ExerciseFacts:
    side = SideFacts(conversations=number, documents=number)
    return ExerciseFacts(claim="generalisation", answers="free", sides={"train": side, "test": side})


def test_a_look_counts_what_is_asked_about_and_knows_own_conversations_wherever_they_moved(tmp_path: Path):
    chapters = [chapter(1), chapter(2), replace(chapter(3), family="f")]
    write(tmp_path / "test.parquet", Document, chapters)
    write_exercises({"own": facts(2), "name": facts(1)}, tmp_path)
    write_side([], tmp_path, "train")
    named = make_record("Which?", "Mine.", id="n", exercise="name", document=chapters[1].id, source="book")
    unseen = {each.digest for each in chapters} | {"own/a#1", "own/b#7"}

    write_side([own(1, "own/a#1"), own(2, "own/a#2"), named], tmp_path, "test")
    asked = with_questions(tmp_path, tmp_path, unseen)
    assert set(asked) == {chapters[1].digest, "own/a#1"}

    write_side([own(1, "own/b#7"), named], tmp_path, "test")
    assert set(with_questions(tmp_path, tmp_path, unseen).values()) == set(asked.values())
