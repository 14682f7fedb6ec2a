"""A model is kept up to date: watched, trained again, judged beside the one that serves, and rolled back."""

import json
import random
import shutil
from pathlib import Path

import pytest
from letters import FEW, MANY, describe, write_letters

from tasks.engine.workspace import Workspace
from tasks.tracking.journal import Journal
from tasks.tracking.versions import aliases_of, versions

WITHOUT_SERVER = {"DVC_STAGE": "release"}
"""As under `dvc repro`: all steps run in the process itself."""


def champions(lm) -> dict[str, int]:
    return aliases_of(lm.workspace, "letters")


@pytest.fixture(scope="module")
def first(workspace_at, tmp_path_factory):
    """A poor model serves; ten letters have come since, and the next training is longer."""
    folder = tmp_path_factory.mktemp("letters")
    lm = workspace_at(folder / "workspace")
    texts = lm.workspace / "letters"
    texts.mkdir()
    write_letters(texts, range(110))
    describe(lm, Path("letters"), FEW)
    lm("release", "letters", **WITHOUT_SERVER)
    assert champions(lm) == {"champion": 1}
    assert "nothing changed since letters v1" in lm("watch", "letters", "--once", **WITHOUT_SERVER)
    write_letters(texts, range(110, 120))
    describe(lm, Path("letters"), MANY)
    return lm


@pytest.fixture
def second(first, lm_in, tmp_path):
    """A copy of it, to do with as one likes."""
    shutil.copytree(first.workspace, tmp_path / "workspace", symlinks=True)
    return lm_in(tmp_path / "workspace")


def test_a_better_model_takes_over_and_a_rollback_brings_the_other_back(second):
    told = second("watch", "letters", "--once", **WITHOUT_SERVER)
    assert "letter_110.txt is new" in told
    assert "since letters v1, of 110 documents: 10 new, 9.1%; enough to train again" in told
    assert "by hand: lm release letters" in told
    again = second("watch", "letters", "--once", **WITHOUT_SERVER)
    assert "10 new, 9.1%; enough" in again, "who looks a second time is told as much"
    told = second("release", "letters", **WITHOUT_SERVER)
    assert "reused   ingest_source" in told  # what watch has made of the new letters
    assert "look 1 at this test set" in told
    assert "promote: " in told
    assert champions(second) == {"champion": 2, "previous": 1}
    again = second("release", "letters", **WITHOUT_SERVER)
    assert "nothing to make" in again
    assert "nothing changed since letters v2" in second("watch", "letters", "--once", **WITHOUT_SERVER)
    second("rollback", "letters", "--why", "it swears")
    assert champions(second)["champion"] == 1
    assert "nothing to make" in second("release", "letters", **WITHOUT_SERVER)
    assert champions(second)["champion"] == 1, "a run that makes nothing promotes nothing"
    told = second("watch", "letters", "--once", **WITHOUT_SERVER)
    assert "v2 was trained on just this data already" in told
    history = second("history", "letters")
    assert "it swears" in history


def test_a_model_that_is_no_better_stays_a_challenger(second):
    describe(second, Path("letters"), FEW - 1)
    told = second("release", "letters", **WITHOUT_SERVER)
    assert "cannot tell: " in told or "keep: " in told
    assert champions(second) == {"champion": 1, "challenger": 2}
    looks = Journal(second.workspace, "letters").looks()
    assert [look.facts["number"] for look in looks] == [1]
    describe(second, Path("letters"), MANY)
    assert "look 2 at this test set" in second("release", "letters", **WITHOUT_SERVER)


def test_the_documents_that_decide_were_seen_by_neither_model(second):
    second("release", "letters", **WITHOUT_SERVER)
    (verdict,) = [
        file
        for file in second.workspace.glob("reports/judge_challenger-*/verdict.json")
        if json.loads(file.read_text())["champion"]
    ]
    import pyarrow.parquet as pq

    from lmcore.batching.seen import read_seen

    scored = set(pq.read_table(verdict.parent / "documents.parquet")["digest"].to_pylist())
    for version in versions(second.workspace, "letters"):
        seen = {each.digest for each in read_seen(version.home) if each.side != "test"}
        assert scored
        assert not scored & seen


@pytest.mark.timeout(900)
def test_killed_ten_times_a_release_ends_with_the_right_champion_and_a_whole_journal(second):
    generator = random.Random(5)
    steps = ["compare_data", "register_model", "judge_challenger", "promote_challenger"]
    kills = [(generator.choice(steps), generator.uniform(0, 1.2)) for _ in range(10)]
    for step, seconds in sorted(kills, key=lambda kill: steps.index(kill[0])):
        command = ("watch", "letters", "--once") if step == "compare_data" else ("release", "letters")
        second.kill_inside(step, seconds, *command, **WITHOUT_SERVER)
    second("release", "letters", **WITHOUT_SERVER)
    assert champions(second) == {"champion": 2, "previous": 1}
    journal = Journal(second.workspace, "letters")
    assert not journal.pending()
    assert not journal.torn()
    kinds = [(line.kind, line.facts.get("cause") or line.facts.get("word")) for line in journal.entries()]
    assert [kind for kind in kinds if kind[0] != "done"] == [
        ("move", "first"), ("verdict", "promote"), ("move", "registered"), ("look", None),
        ("verdict", "promote"), ("move", "release"),
    ]  # fmt: skip
    assert not list(Workspace(second.workspace).private.glob("scratch/promote_challenger-*"))


def test_of_two_releases_at_once_one_wins_and_both_say_so(second):
    runs = [second.start("release", "letters", **WITHOUT_SERVER) for _ in range(2)]
    outputs = ["".join(run.communicate(timeout=280)) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert champions(second) == {"champion": 2, "previous": 1}
    assert all("promote: " in output for output in outputs), outputs
    moves = [line for line in Journal(second.workspace, "letters").entries() if line.kind == "move"]
    assert [move.facts["cause"] for move in moves] == ["first", "registered", "release"]


def test_of_two_challengers_at_once_no_alias_is_wrong_and_no_line_is_lost(second):
    """From two terminals, under one name in the registry; both were judged beside the same champion."""
    both = [
        (
            "release",
            "letters",
            "registration.model=letters",
            f"train.steps={steps}",
            "train.validate_every=40",
        )
        for steps in (MANY, MANY - 1)
    ]
    for each in [second.start(*each, "--until", "judge_challenger", **WITHOUT_SERVER) for each in both]:
        each.communicate(timeout=280)
    runs = [second.start(*each, **WITHOUT_SERVER) for each in both]
    outputs = ["".join(run.communicate(timeout=280)) for run in runs]
    for run, output in zip(runs, outputs, strict=True):
        is_overtaken = "became champion of letters meanwhile" in output
        assert (run.returncode, "letters now: " in output) == ((2, False) if is_overtaken else (0, True)), (
            output
        )
    assert 0 in [run.returncode for run in runs]
    for run, each in zip(runs, both, strict=True):
        if run.returncode:  # whoever was overtaken is judged beside the winner
            assert "letters now: " in second(*each, **WITHOUT_SERVER)

    journal = Journal(second.workspace, "letters")
    assert not journal.pending()
    assert [line.facts["number"] for line in journal.looks()] == [1, 2, 3]
    digests = {version.version: version.digest for version in versions(second.workspace, "letters")}
    released, verdict = [1], {}
    for line in journal.entries():
        if line.kind == "verdict":
            verdict = {**verdict, line.facts["challenger"]: line.facts}
        if line.facts.get("cause") == "release":
            champion = next(move for move in line.facts["moves"] if move["alias"] == "champion")
            told = verdict[digests[champion["to"]]]
            assert (told["word"], told["champion"]) == ("promote", digests[champion["from"]])
            assert champion["from"] == released[-1]
            released.append(champion["to"])
    assert len(released) > 1
    now = champions(second)
    assert (now["champion"], now["previous"]) == (released[-1], released[-2])
