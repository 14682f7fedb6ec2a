"""Moves of aliases: whatever is killed, whoever moves at the same time, `champion` is never wrong."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tasks.engine.checks import releases
from tasks.engine.doctor import examine
from tasks.engine.workspace import Workspace
from tasks.tracking import Journal, Overtaken, TrackingError, finish, open_store, promote, rollback, set_alias
from tasks.tracking.journal import holding
from tasks.tracking.moves import enlist, is_enlisted
from tasks.tracking.versions import aliases_of, numbers_of, registered, versions

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("killed_moves.py")


def add(workspace: Path, number: int, alias: str | None = "challenger") -> None:
    """A version as `register` leaves it, without a model's files."""
    client = open_store(workspace)
    home = workspace / "mlartifacts" / f"m-{number}"
    (home / "artifacts").mkdir(parents=True)
    if not versions(workspace, "tiny"):
        client.create_registered_model("tiny")
    tags = {"lm.digest": f"d{number}", "lm.key": f"k{number}"}
    made = client.create_model_version("tiny", source=str(home), tags=tags, await_creation_for=0)
    assert int(made.version) == number
    with closing(sqlite3.connect(workspace / "mlflow.db")) as connection, connection:
        connection.execute(
            "UPDATE model_versions SET source = ? WHERE version = ?", (f"models:/m-{number}", number)
        )
    if alias:
        enlist(workspace, "tiny", number, alias)


@pytest.fixture
def three(workspace: Path) -> Path:
    """v1 was champion, v2 is it, v3 is its challenger."""
    return make_three(workspace)


def make_three(workspace: Path) -> Path:
    for number in (1, 2, 3):
        add(workspace, number)
        if number == 2:
            promote(workspace, "tiny", 2, expected_champion=1, why="better")
    return workspace


def forget(workspace: Path, *numbers: int, but: tuple[str, ...] = ()) -> None:
    """As if the registry had never had these versions: no row is left, not even of a deleted one."""
    tables = {"registered_model_aliases", "model_version_tags", "model_versions"}
    places = ", ".join(map(str, numbers))
    with closing(sqlite3.connect(workspace / "mlflow.db")) as connection, connection:
        for table in sorted(tables - {*but}):
            connection.execute(f"DELETE FROM {table} WHERE version IN ({places})")


def aliases(workspace: Path) -> dict[str, int]:
    return aliases_of(workspace, "tiny")


def moved(workspace: Path) -> list[str]:
    """The moves of the journal in short; all of them done."""
    journal = Journal(workspace, "tiny")
    assert journal.pending() == []
    return [
        f"{entry.facts['cause']}: "
        + ", ".join(f"{each['alias']} {each['from']}>{each['to']}" for each in entry.facts["moves"])
        for entry in journal.entries()
        if entry.kind == "move"
    ]


def test_the_first_version_is_champion_and_the_next_is_its_challenger(three: Path) -> None:
    assert aliases(three) == {"champion": 2, "challenger": 3, "previous": 1}
    assert moved(three) == [
        "first: champion None>1",
        "registered: challenger None>2",
        "release: previous None>1, champion 1>2, challenger 2>None",
        "registered: challenger None>3",
    ]
    entry = Journal(three, "tiny").entries()[-2]
    assert entry.facts["digests"] == {"3": "d3"}


def test_promote_is_done_once_and_told_on_the_versions_page(three: Path) -> None:
    assert promote(three, "tiny", 3, expected_champion=2, why="1 %  better\n", who="ann@desk").version == 3
    assert aliases(three) == {"champion": 3, "previous": 2}
    lines = Journal(three, "tiny").entries()
    assert lines[-2].facts["why"] == "1 % better"
    version = registered(three, "tiny", "champion")
    assert version
    assert version.tags["lm.released"] == f"{lines[-2].when}, ann@desk: 1 % better"
    assert promote(three, "tiny", 3, expected_champion=2, why="again").version == 3
    assert Journal(three, "tiny").entries() == lines


def test_who_was_compared_with_an_older_champion_is_overtaken(three: Path) -> None:
    add(three, 4)
    promote(three, "tiny", 3, expected_champion=2, why="better", who="ann@desk")
    before = Journal(three, "tiny").entries()
    told = r"v3 became champion of tiny meanwhile \(ann@desk, 20.*\); run it again to be compared with that"
    with pytest.raises(Overtaken, match=told):
        promote(three, "tiny", 4, expected_champion=2, why="better")
    with pytest.raises(Overtaken):
        promote(three, "tiny", 4, expected_champion=None, why="better")
    assert Journal(three, "tiny").entries() == before
    assert promote(three, "tiny", 4, expected_champion=3, why="better").version == 4


def test_what_cannot_serve_is_not_promoted(three: Path) -> None:
    with pytest.raises(TrackingError, match="no version 7; registered: v1, v2, v3"):
        promote(three, "tiny", 7, expected_champion=2, why="")
    shutil.rmtree(three / "mlartifacts" / "m-3")
    with pytest.raises(TrackingError, match="the files of tiny v3 are gone; lm doctor --fix"):
        promote(three, "tiny", 3, expected_champion=2, why="")
    assert aliases(three)["champion"] == 2


def test_a_second_rollback_goes_further_back_and_never_to_what_was_rolled_back(three: Path) -> None:
    promote(three, "tiny", 3, expected_champion=2, why="better")
    assert rollback(three, "tiny", why="it curses").version == 2
    assert aliases(three) == {"champion": 2, "previous": 1}
    left = registered(three, "tiny", 3)
    assert left
    assert left.tags["lm.rolled_back"].endswith(": it curses")
    assert rollback(three, "tiny").version == 1
    assert aliases(three) == {"champion": 1}
    with pytest.raises(
        TrackingError, match=r"no champion before v1 that .* --to vN \(registered: v1, v2, v3\)"
    ):
        rollback(three, "tiny")
    assert rollback(three, "tiny", 3).version == 3
    assert aliases(three) == {"champion": 3}, "v1 was rolled back, too"


def test_a_rollback_to_a_version_goes_anywhere_and_says_nothing_if_it_is_there(three: Path) -> None:
    assert rollback(three, "tiny", 3, "it was good").version == 3
    assert aliases(three) == {"champion": 3, "previous": 1}
    before = Journal(three, "tiny").entries()
    assert rollback(three, "tiny", 3).version == 3
    assert Journal(three, "tiny").entries() == before
    with pytest.raises(TrackingError, match="no version 9"):
        rollback(three, "tiny", 9)


def test_what_was_rolled_back_is_no_challenger_again_by_itself(three: Path) -> None:
    promote(three, "tiny", 3, expected_champion=2, why="better")
    rollback(three, "tiny")
    enlist(three, "tiny", 3, "challenger")  # as a run does that finds it registered
    assert aliases(three) == {"champion": 2, "previous": 1}


def test_a_version_that_was_deleted_is_passed_over(three: Path) -> None:
    promote(three, "tiny", 3, expected_champion=2, why="better")
    open_store(three).delete_model_version("tiny", "2")
    assert rollback(three, "tiny").version == 1
    assert moved(three)[-2:] == ["by hand: previous 2>None", "rollback: champion 3>1"]


def test_after_the_champion_was_deleted_a_rollback_goes_to_the_one_before(three: Path) -> None:
    open_store(three).delete_model_version("tiny", "2")
    assert rollback(three, "tiny").version == 1
    assert aliases(three) == {"champion": 1, "challenger": 3}


def test_what_is_moved_in_mlflow_is_noted_by_the_next_command(three: Path) -> None:
    client = open_store(three)
    client.set_registered_model_alias("tiny", "champion", "3")
    client.set_registered_model_alias("tiny", "baseline", "1")
    client.delete_registered_model_alias("tiny", "challenger")
    with pytest.raises(Overtaken, match="v3 became champion"):
        promote(three, "tiny", 1, expected_champion=2, why="")
    assert moved(three)[-1] == "by hand: baseline None>1, challenger 3>None, champion 2>3"
    assert rollback(three, "tiny").version == 2


def test_an_alias_is_set_by_hand_and_the_journal_knows(three: Path) -> None:
    assert set_alias(three, "tiny", "champion", 1, "I know better").aliases == ("champion",)
    assert set_alias(three, "tiny", "staging", 3).aliases == ("challenger", "staging")
    set_alias(three, "tiny", "staging", 3)
    assert moved(three)[-2:] == ["by hand: previous 1>2, champion 2>1", "by hand: staging None>3"]
    with pytest.raises(TrackingError, match="cannot be an alias"):
        set_alias(three, "tiny", "v2", 1)
    assert rollback(three, "tiny").version == 2


def test_a_registry_older_than_its_journal_begins_it_as_it_stands(workspace: Path) -> None:
    for number in (1, 2, 3):
        add(workspace, number, alias=None)
    client = open_store(workspace)
    client.set_registered_model_alias("tiny", "champion", "3")
    client.set_registered_model_alias("tiny", "previous", "2")
    assert is_enlisted(workspace, "tiny", "d3")
    assert not Journal(workspace, "tiny").entries()
    assert rollback(workspace, "tiny").version == 2
    first = Journal(workspace, "tiny").entries()[0]
    assert first.facts["why"] == "as it was when this journal began"
    assert first.facts["digests"] == {"1": "d1", "2": "d2", "3": "d3"}
    assert aliases(workspace) == {"champion": 2}


def test_a_move_that_waits_for_a_lost_version_gives_way_to_the_next(three: Path) -> None:
    journal = Journal(three, "tiny", who="ann@desk")
    rows = [{"alias": "champion", "from": 2, "to": 4}]
    waiting = journal.append("move", cause="release", why="", moves=rows, digests={"4": "d4"})
    assert finish(three, "tiny") == []
    assert promote(three, "tiny", 3, expected_champion=2, why="better").version == 3
    done = [
        entry.facts for entry in journal.entries() if entry.kind == "done" and entry.facts["of"] == waiting.id
    ]
    assert done == [{"of": waiting.id, "left": ["champion"]}]
    assert rollback(three, "tiny").version == 2


def test_a_registry_that_is_lost_is_not_taken_for_one_that_was_emptied_by_hand(three: Path) -> None:
    before = Journal(three, "tiny").entries()
    with closing(sqlite3.connect(three / "mlflow.db")) as connection, connection:
        for table in (
            "registered_model_aliases",
            "model_version_tags",
            "model_versions",
            "registered_models",
        ):
            connection.execute(f"DELETE FROM {table}")
    for move in (
        lambda: promote(three, "tiny", 3, expected_champion=2, why=""),
        lambda: rollback(three, "tiny", 1),
        lambda: set_alias(three, "tiny", "champion", 2),
    ):
        with pytest.raises(TrackingError, match=r"registered: none; the journal knows it: lm doctor --fix"):
            move()
    with pytest.raises(TrackingError, match=r"registered: none; lost, see lm doctor: v1, v2, v3"):
        rollback(three, "tiny")
    assert Journal(three, "tiny").entries() == before
    assert numbers_of(three, "tiny") == {}


def test_to_look_for_interrupted_moves_imports_no_mlflow(three: Path) -> None:
    script = (
        "import sys, pathlib; from tasks.tracking import finish\n"
        "assert finish(pathlib.Path(sys.argv[1]), 'tiny') == []\n"
        "assert not {'mlflow', 'sqlalchemy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(three)], cwd=ROOT, check=True)


# The doctor


def findings(workspace: Path) -> list[Any]:
    place = Workspace(workspace)
    checks = (releases.lost_versions, releases.pending_moves, releases.aliases_of_nothing)
    return [finding for check in checks for finding in check(place, False)]


def test_the_doctor_finishes_what_was_interrupted_and_cuts_off_half_a_line(three: Path) -> None:
    assert findings(three) == []
    journal = Journal(three, "tiny", who="ann@desk")
    rows = [{"alias": "champion", "from": 2, "to": 3}]
    begun = journal.append("move", cause="release", why="", moves=rows, digests={"3": "d3"})
    with journal.path.open("ab") as file:
        file.write(b'{"id": 10')
    with holding(three):
        assert findings(three) == [], "somebody is at it"
    torn, pending = findings(three)
    assert torn.what == "releases/tiny.jsonl ends in half a line (9 bytes), on whose word nothing was done"
    told = f"line {begun.id} (release by ann@desk, {begun.when}) was interrupted"
    assert pending.what == f"releases/tiny.jsonl: {told}"
    torn.mend()
    pending.mend()
    assert findings(three) == []
    assert aliases(three)["champion"] == 3


def test_the_doctor_leads_aliases_of_nothing_back(three: Path) -> None:
    forget(three, 2, 3, but=("registered_model_aliases",))
    lost, *dangling = findings(three)
    assert lost.is_note
    assert lost.what == "releases/tiny.jsonl knows tiny v2 (champion), which is not registered here"
    dangling = [finding for finding in findings(three) if not finding.is_note]
    assert [finding.what for finding in dangling] == [
        "tiny@challenger leads to v3, which is gone",
        "tiny@champion leads to v2, which is gone",
    ]
    for finding in dangling:
        finding.mend()
    assert findings(three) == []
    assert aliases(three) == {"champion": 1}


def test_the_doctor_tells_of_a_damaged_journal(three: Path) -> None:
    with (three / "releases" / "tiny.jsonl").open("ab") as file:
        file.write(b"=======\n")
    found = examine(Workspace(three))
    assert any("releases/tiny.jsonl: line 9 is no line of a journal" in each.what for each in found)


# Kills

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
def killed(tmp_path_factory: pytest.TempPathFactory, fresh_store: Path) -> dict[str, list[dict[str, Any]]]:
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


def test_of_two_promotes_at_once_one_wins_and_the_other_says_so(three: Path) -> None:
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
    assert aliases(three)["champion"] == winner
    assert aliases(three)["previous"] == 2
    assert sum(line.startswith("release: ") for line in moved(three)) == 2
