"""Moves of aliases: who is champion, who was, and what a rollback goes back to."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.tracking import Journal, Overtaken, TrackingError, finish, open_store, promote, rollback, set_alias
from tasks.tracking.describing import state_licence
from tasks.tracking.moves import enlist, is_enlisted
from tasks.tracking.registrar import champion_of
from tasks.tracking.versions import aliases_of, numbers_of, registered

ROOT = Path(__file__).parents[3]


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


def test_who_was_compared_with_an_older_champion_is_overtaken(three: Path, add: Any) -> None:
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


def test_a_registry_older_than_its_journal_begins_it_as_it_stands(workspace: Path, add: Any) -> None:
    for number in (1, 2, 3):
        add(workspace, number, alias=None)
    client = open_store(workspace)
    client.set_registered_model_alias("tiny", "champion", "3")
    client.set_registered_model_alias("tiny", "previous", "2")
    Journal(workspace, "tiny").append("look", documents=7)
    assert is_enlisted(workspace, "tiny", "d3")
    assert rollback(workspace, "tiny").version == 2
    first = Journal(workspace, "tiny").entries()[1]
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


def test_a_registry_that_is_lost_is_not_taken_for_one_that_was_emptied_by_hand(
    three: Path, forget: Any
) -> None:
    before = Journal(three, "tiny").entries()
    forget(three, 1, 2, 3)
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


def test_a_champion_that_the_registry_has_lost_is_not_taken_for_nobody(three: Path, forget: Any) -> None:
    champion = champion_of(three, "tiny")
    assert champion
    assert champion.version == 2
    forget(three, 2)
    with pytest.raises(
        TrackingError, match="the champion of tiny is v2, which the registry has lost; lm doctor"
    ):
        champion_of(three, "tiny")
    assert champion_of(three, "another") is None


def test_where_somebody_took_the_champion_away_in_mlflow_nobody_serves(three: Path) -> None:
    open_store(three).delete_model_version("tiny", "2")
    assert champion_of(three, "tiny") is None


def test_a_version_states_the_licence_of_its_weights_until_it_does_not(three: Path) -> None:
    for licence, told in (("apache-2.0", "apache-2.0"), ("CC BY 4.0", "CC BY 4.0"), (None, ""), (None, "")):
        version = registered(three, "tiny", 1)
        assert version
        state_licence(three, version, licence)
        (stated,) = {each.licence for each in (registered(three, "tiny", 1),) if each}
        assert stated == told
