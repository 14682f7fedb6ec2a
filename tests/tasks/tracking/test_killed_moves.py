"""Whatever is killed, whoever moves at the same time: `champion` is never wrong, and no line is lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.tracking import Journal
from tasks.tracking.versions import aliases_of

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("killed_moves.py")

MOVES = {
    "promote": [("previous", 1, 2), ("champion", 2, 3), ("challenger", 3, None)],
    "rollback": [("previous", 1, None), ("champion", 2, 1)],
    "rollback to": [("champion", 2, 3), ("challenger", 3, None)],
    "set alias": [("previous", 1, 2), ("champion", 2, 1)],
}
ENDS = {
    "promote": {"champion": 3, "previous": 2},
    "rollback": {"champion": 1, "challenger": 3},
    "rollback to": {"champion": 3, "previous": 1},
    "set alias": {"challenger": 3, "champion": 1, "previous": 2},
}
TAGS = {
    "promote": [3, "lm.released"],
    "rollback": [2, "lm.rolled_back"],
    "rollback to": [2, "lm.rolled_back"],
    "set alias": [1, "lm.released"],
}


@pytest.fixture(scope="module")
def killed(
    tmp_path_factory: pytest.TempPathFactory, fresh_store: Path, add: Any, forget: Any, make_three: Any
) -> dict[str, list[dict[str, Any]]]:
    """For each command what a kill between two of its writes leaves, and what the next run makes of it."""

    def begin(command: str) -> Path:
        folder = tmp_path_factory.mktemp(command.replace(" ", "_"))
        shutil.copyfile(fresh_store, folder / "mlflow.db")
        return folder

    places = {command: make_three(begin(command)) for command in (*MOVES, "enlist", "register again")}
    places["enlist the first"] = begin("enlist the first")
    add(places["enlist"], 4, alias=None)
    add(places["enlist the first"], 1, alias=None)
    forget(places["register again"], 2)
    arguments = [str(part) for command, place in places.items() for part in (place, command)]
    process = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    rows = [json.loads(line) for line in process.stdout.splitlines()]
    return {command: [row for row in rows if row["command"] == command] for command in places}


@pytest.mark.parametrize("command", MOVES)
def test_killed_between_or_in_any_writes_the_same_command_finishes_the_job(killed: Any, command: str) -> None:
    rows, steps = killed[command], MOVES[command]
    old = rows[0]["left"]["journal"]
    if command == "rollback":  # it may well be done again, once it has said that it was done
        assert [row["left"]["told"] for row in rows[-4:]] == [False, True, True, True]
        del rows[-1:]
    assert [line["id"] for line in old] == list(range(1, 9))
    for row in rows:
        left, then = row["left"], row["then"]
        # The old champion or the new one serves, and the new one only behind a whole line of the journal.
        assert left["aliases"].get("champion") in (2, ENDS[command]["champion"]), row
        lines = [line for line in left["journal"] if isinstance(line, dict)]
        assert lines[: len(old)] == old, row
        if lines == old:
            assert left["aliases"] == {"champion": 2, "challenger": 3, "previous": 1}, row
        # Afterwards the job was done, once, and every line is there.
        assert then["aliases"] == ENDS[command], row
        assert then["journal"][: len(lines)] == lines, row
        move, done = then["journal"][len(old) :]
        assert [tuple(each.values()) for each in move["moves"]] == steps, row
        assert (move["kind"], done["kind"], done["of"]) == ("move", "done", move["id"]), row
        assert TAGS[command] in then["tags"], row
        assert row["told"].startswith("Registered("), row
    # Nothing, half a line, a line; each alias; half of `done`, `done`.
    assert len(rows) >= 3 + len(steps) + 2


def test_a_version_that_was_registered_gets_its_alias_whatever_is_killed(killed: Any) -> None:
    for row in killed["enlist"]:
        assert row["left"]["aliases"]["challenger"] in (3, 4), row
        assert row["then"]["aliases"] == {"challenger": 4, "champion": 2, "previous": 1}, row
        assert [line["kind"] for line in row["then"]["journal"][8:]] == ["move", "done"], row


def test_the_first_version_is_champion_whatever_is_killed(killed: Any) -> None:
    for row in killed["enlist the first"]:
        assert row["then"]["aliases"] == {"champion": 1, "staging": 1}, row
        causes = [line["cause"] for line in row["then"]["journal"] if line["kind"] == "move"]
        assert causes == ["first", "registered"], row


def test_a_version_that_was_lost_gets_its_number_and_aliases_back_whatever_is_killed(killed: Any) -> None:
    rows = killed["register again"]
    assert len(rows) >= 5
    for row in rows:
        assert row["left"]["aliases"].get("champion") in (None, 2), row
        assert row["then"]["aliases"] == {"challenger": 3, "champion": 2, "previous": 1}, row
        assert row["then"]["versions"] == [[1, 1], [2, 1], [3, 1]], row
        assert row["then"]["journal"] == rows[0]["left"]["journal"], row
        assert row["told"] == "True"


def test_of_two_promotes_at_once_one_wins_and_the_other_says_so(three: Path, add: Any) -> None:
    add(three, 4)
    script = (
        "import sys, pathlib; from tasks.tracking import open_store, promote\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "open_store(root); print('ready', flush=True); sys.stdin.readline()\n"
        "try: promote(root, 'tiny', int(sys.argv[2]), expected_champion=2, why='better', who=sys.argv[3])\n"
        "except ValueError as error: sys.exit(f'{type(error).__name__}: {error}')"
    )
    pipes: dict[str, Any] = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    both = {
        number: subprocess.Popen(
            [sys.executable, "-c", script, str(three), str(number), who], cwd=ROOT, text=True, **pipes
        )
        for number, who in ((3, "ann@desk"), (4, "bob@desk"))
    }
    for process in both.values():
        process.stdout.readline()
    for process in both.values():
        process.stdin.write("go\n")
        process.stdin.flush()
    told = {number: process.communicate()[1] for number, process in both.items()}
    (winner,) = (number for number, process in both.items() if process.returncode == 0)
    loser = 7 - winner
    who = {3: "ann@desk", 4: "bob@desk"}[winner]
    assert told[loser].startswith(f"Overtaken: v{winner} became champion of tiny meanwhile ({who}, ")
    held, challenger = aliases_of(three, "tiny"), {"challenger": 4} if winner == 3 else {}
    assert held == {"champion": winner, "previous": 2, **challenger}
    journal = Journal(three, "tiny")
    assert journal.pending() == []
    assert [entry.facts["cause"] for entry in journal.entries() if entry.kind == "move"].count("release") == 2
