"""The journal of a model: whole lines only, in order, and what they come to."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.tracking.journal import Entry, Journal, JournalError, holding, journals
from tasks.tracking.standing import BY_HAND, FIRST, REGISTERED, RELEASE, ROLLBACK, Move, standing, succeed

ROOT = Path(__file__).parents[3]
LOOK = {
    "challenger": "b" * 64,
    "champion": "a" * 64,
    "documents": 7,
    "test_set": "t" * 64,
    "error_rate": 1e-3,
}


def look(journal: Journal, **facts: object) -> Entry:
    return journal.append("look", **{**LOOK, **facts})


def move(number: int, cause: str, moves: dict[str, tuple[int | None, int | None]]) -> Entry:
    rows = [{"alias": alias, "from": before, "to": to} for alias, (before, to) in moves.items()]
    digests = {str(to): f"d{to}" for _, to in moves.values() if to}
    facts = {"cause": cause, "why": "", "moves": rows, "digests": digests}
    return Entry(number, "2026-01-01T00:00:00+00:00", "ann@desk", "move", facts)


# The file


def test_each_entry_is_one_json_object_on_one_line_with_number_time_and_author(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "tiny", who="ann@desk")
    assert journal.entries() == []
    first, second = look(journal), journal.append("verdict", word="keep", sentence="é\n", report="reports/x")
    lines = (tmp_path / "releases" / "tiny.jsonl").read_bytes().split(b"\n")
    assert [json.loads(line)["id"] for line in lines[:-1]] == [1, 2]
    assert lines[-1] == b""
    assert json.loads(lines[0]) == {"id": 1, "when": first.when, "who": "ann@desk", "kind": "look", **LOOK}
    assert first.when.endswith("+00:00")
    assert journal.entries() == [first, second]


def test_looks_are_counted_by_test_set(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "tiny")
    for test_set in ("one", "two", "one"):
        look(journal, test_set=test_set)
    journal.append("verdict", word="keep")
    assert [entry.id for entry in journal.looks()] == [1, 2, 3]
    assert [entry.id for entry in journal.looks("one")] == [1, 3]
    assert journal.looks("three") == []


@given(cut=st.integers(1, 200))
def test_cut_anywhere_within_its_last_line_a_journal_loses_that_line_alone(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    journal = Journal(tmp_path_factory.mktemp("cut"), "tiny", who="ann@desk")
    first = look(journal)
    whole = journal.path.read_bytes()
    last = look(journal, documents=9)
    cut = min(cut, len(journal.path.read_bytes()) - len(whole))
    os.truncate(journal.path, journal.path.stat().st_size - cut)
    # All of a line but its end is a line: an editor may have left that out.
    kept = [first, last] if cut == 1 else [first]
    assert journal.entries() == kept
    assert journal.torn() == (0 if cut == 1 else journal.path.stat().st_size - len(whole))
    added = look(journal, documents=11)
    assert journal.entries() == [*kept, added]
    assert added.id == len(kept) + 1
    assert journal.torn() == 0


def test_half_a_line_can_be_cut_off_by_itself(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "tiny")
    look(journal)
    whole = journal.path.read_bytes()
    with journal.path.open("ab") as file:
        file.write(b'{"id": 2, "when"\0\0\0')
    journal.cut()
    assert journal.path.read_bytes() == whole
    Journal(tmp_path, "other").cut()
    assert not (tmp_path / "releases" / "other.jsonl").exists()


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path, "tiny")
    look(journal)
    before, write = journal.path.read_bytes(), os.pwrite

    def half(file: int, data: bytes, offset: int) -> int:
        if len(data) < 20:
            raise OSError(28, "No space left on device")
        return write(file, data[: len(data) // 2], offset)

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OSError, match="No space"):
        look(journal)
    assert journal.path.read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda lines: [lines[0], b"<<<<<<< HEAD", lines[1]], "line 2 is no line of a journal"),
        (lambda lines: [lines[0], lines[0], lines[1]], "line 2 says look 1, expected the id 2"),
        (lambda lines: [lines[1]], "line 1 says look 2, expected the id 1"),
        (lambda lines: [lines[0].replace(b'"look"', b'"move"')], "line 1 lacks cause, digests, moves, why"),
        (lambda lines: [lines[0].replace(b'"look"', b'"peek"')], "line 1 says peek 1"),
        (lambda lines: [b"[]"], "line 1 is no line of a journal"),
    ],
)
def test_a_damaged_line_is_told_with_the_cure_and_nothing_is_appended(tmp_path, damage, told) -> None:
    journal = Journal(tmp_path, "tiny")
    look(journal)
    look(journal)
    content = b"".join(line + b"\n" for line in damage(journal.path.read_bytes().splitlines()))
    journal.path.write_bytes(content)
    for use in (journal.entries, journal.looks, journal.cut, lambda: look(journal)):
        with pytest.raises(JournalError, match=rf"releases/tiny\.jsonl: {told}.*from git"):
            use()
    assert journal.path.read_bytes() == content


@pytest.mark.parametrize("name", ["", " ", "../x", "a:b", "x" * 201, "nul\0"])
def test_what_names_no_model_names_no_journal(tmp_path: Path, name: str) -> None:
    with pytest.raises(JournalError, match="cannot name a registered model"):
        Journal(tmp_path, name)


def test_a_line_of_a_kind_that_there_is_none_of_is_not_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "tiny")
    for kind, facts in (("peek", {}), ("look", {"who": "somebody else"})):
        with pytest.raises(ValueError, match="expected one of"):
            journal.append(kind, **facts)
    assert journals(tmp_path) == []


def test_processes_that_append_at_once_lose_no_line(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from tasks.tracking.journal import Journal\n"
        "for n in range(20): Journal(pathlib.Path(sys.argv[1]), 'tiny').append('look', of=sys.argv[2], n=n)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    both = [subprocess.Popen([*command, name], cwd=ROOT) for name in "ab"]
    assert [process.wait() for process in both] == [0, 0]
    entries = Journal(tmp_path, "tiny").entries()
    assert [entry.id for entry in entries] == list(range(1, 41))
    for name in "ab":
        assert [entry.facts["n"] for entry in entries if entry.facts["of"] == name] == list(range(20))
    assert [journal.model for journal in journals(tmp_path)] == ["tiny"]


def test_the_lock_may_be_taken_again_by_who_holds_it_and_by_nobody_else(tmp_path: Path) -> None:
    import threading

    waited = threading.Event()

    def other() -> None:
        with holding(tmp_path):
            waited.set()

    thread = threading.Thread(target=other)
    with holding(tmp_path), holding(tmp_path):
        thread.start()
        assert not waited.wait(0.1)
    thread.join()
    assert waited.is_set()


# What the lines come to


def test_champions_up_to_the_present_one() -> None:
    assert succeed([1, 2], RELEASE, 3) == [1, 2, 3]
    assert succeed([1, 2, 3], ROLLBACK, 2) == [1, 2]
    assert succeed([1, 2, 3], ROLLBACK, 1) == [1]
    assert succeed([1, 2, 3], ROLLBACK, 7) == [1, 2, 7], "what it replaces was rolled back"
    assert succeed([1, 2, 1, 3], ROLLBACK, 1) == [1, 2, 1]
    assert succeed([1, 2], BY_HAND, None) == [1]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9, unique=True), st.integers(1, 12))
def test_rollbacks_go_back_step_by_step_and_never_to_what_was_rolled_back(released, num_rollbacks) -> None:
    entries = [move(1, FIRST, {"champion": (None, released[0])})]
    entries += [
        move(number, RELEASE, {"champion": (None, version)})
        for number, version in enumerate(released[1:], start=2)
    ]
    visited = []
    for _ in range(num_rollbacks):
        now = standing(entries)
        goal = now.before_champion(released)
        if goal is None:
            break
        visited.append(goal)
        moves = {
            each.alias: (each.before, each.after) for each in now.moves(ROLLBACK, "champion", goal, released)
        }
        entries.append(move(len(entries) + 1, ROLLBACK, moves))
        assert standing(entries).aliases.get("previous") == standing(entries).before_champion(released)
    assert visited == released[-2::-1][:num_rollbacks]


def test_a_release_takes_previous_and_challenger_along_before_and_behind_the_champion() -> None:
    now = standing([move(1, FIRST, {"champion": (None, 1)}), move(2, REGISTERED, {"challenger": (None, 2)})])
    assert now.moves(RELEASE, "champion", 2, {1, 2}) == [
        Move("previous", None, 1), Move("champion", 1, 2), Move("challenger", 2, None)
    ]  # fmt: skip
    assert now.moves(RELEASE, "champion", 1, {1, 2}) == []
    assert now.moves(REGISTERED, "challenger", 3, {1, 2, 3}) == [Move("challenger", 2, 3)]
    assert now.version_of("d2") == 2
    assert now.version_of("d3") is None


def test_a_version_that_is_gone_is_no_place_to_go_back_to() -> None:
    entries = [move(1, FIRST, {"champion": (None, 1)}), move(2, RELEASE, {"champion": (1, 2)})]
    entries.append(move(3, RELEASE, {"champion": (2, 3)}))
    assert standing(entries).before_champion({1, 3}) == 1
    assert standing(entries).moves(ROLLBACK, "champion", 1, {1, 3}) == [Move("champion", 3, 1)]
    assert standing(entries).before_champion({3}) is None


def test_what_a_hand_says_of_previous_is_where_a_rollback_goes() -> None:
    entries = [move(1, BY_HAND, {"champion": (None, 3), "previous": (None, 2)})]
    assert standing(entries).reigns == [2, 3]
    entries.append(move(2, BY_HAND, {"previous": (2, 1)}))
    assert standing(entries).before_champion({1, 2, 3}) == 1
    entries.append(move(3, BY_HAND, {"previous": (1, None)}))
    assert standing(entries).before_champion({1, 2, 3}) is None


def test_after_the_champion_was_taken_away_a_rollback_goes_to_the_one_before() -> None:
    entries = [move(1, FIRST, {"champion": (None, 1)}), move(2, RELEASE, {"champion": (1, 2)})]
    entries.append(move(3, BY_HAND, {"champion": (2, None)}))
    now = standing(entries)
    assert (now.champion, now.before_champion({1, 2})) == (None, 1)


def test_a_move_that_was_left_to_a_hand_does_not_count() -> None:
    entries = [move(1, FIRST, {"champion": (None, 1), "previous": (None, 4)})]
    entries.append(Entry(2, "", "", "done", {"of": 1, "left": ["champion"]}))
    assert standing(entries).aliases == {"previous": 4}
