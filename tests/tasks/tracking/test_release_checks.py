"""What the doctor finds wrong with aliases and journals, and how it mends that."""

from pathlib import Path
from typing import Any

import pytest

from tasks.engine.checks import releases
from tasks.engine.doctor import examine
from tasks.engine.workspace import Workspace
from tasks.tracking import Journal, TrackingError, rollback
from tasks.tracking.journal import holding
from tasks.tracking.versions import aliases_of


def aliases(workspace: Path) -> dict[str, int]:
    return aliases_of(workspace, "tiny")


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


def test_the_doctor_leads_aliases_of_nothing_back(three: Path, forget: Any) -> None:
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


def test_a_journal_of_another_workspace_moves_nothing(three: Path) -> None:
    file = three / "releases" / "tiny.jsonl"
    file.write_text(file.read_text().replace('"2": "d2"', '"2": "e2"'))
    before = file.read_text()
    told = "tiny v2 is another model in this registry than in releases/tiny.jsonl, "
    told += "which tells of another workspace"
    with pytest.raises(TrackingError, match=told):
        rollback(three, "tiny")
    (found,) = releases.foreign_journals(Workspace(three), False)
    assert (found.what, found.mend) == (told, None)
    assert "from git" in found.cure
    assert file.read_text() == before
    assert aliases(three)["champion"] == 2


def test_the_doctor_tells_of_a_damaged_journal(three: Path) -> None:
    with (three / "releases" / "tiny.jsonl").open("ab") as file:
        file.write(b"=======\n")
    found = examine(Workspace(three))
    assert any("releases/tiny.jsonl: line 9 is no line of a journal" in each.what for each in found)
