"""What was spent and saved, by hand-worked sums; where the bytes are, by a walk of one's own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lmcore.lineage import FileEntry, Manifest, digest_of
from tasks.costs import LEDGER, Cost, RunCost, by_step, cost_of, ledger, note_run, saved, total
from tasks.disk_usage import PAGES, SHARED, UNLINKED, usage
from tasks.engine.session import Outcome, Session
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace
from tasks.tracking import FlowRun


def made(step: str = "pretrain_model", name: str = "tiny", **known: object) -> Manifest:
    """A manifest of 1,000 bytes; what is known are provenance and facts by name."""
    costs = {key: known[key] for key in ("seconds", "cpu_seconds", "peak_memory") if key in known}
    facts = {key: value for key, value in known.items() if key not in costs}
    return Manifest(
        step=step, name=name, key=digest_of([step, name]), key_document={"settings": {}}, digest="d",
        inputs={}, files={"a": FileEntry(size=1000, sha256="0" * 64)}, facts=facts, environment={},
        provenance=costs,
    )  # fmt: skip


TRAINED = {"steps": 10, "training_loss": 2.0, "tokens": 500}


@pytest.fixture
def place(workspace: Path) -> Workspace:
    return Workspace(workspace)


def test_costs_add_up_and_the_peak_is_that_of_the_one_that_took_most():
    one = made(seconds=10.0, cpu_seconds=15.0, peak_memory=700, device="cpu", **TRAINED)
    two = made("merge_models", seconds=2.0, cpu_seconds=1.0, peak_memory=900)
    assert total([one, two]) == Cost(2, 12.0, 16.0, 0.0, 500, 900, 2000)
    assert list(by_step([two, one])) == ["pretrain_model", "merge_models"]


def test_a_product_that_is_met_twice_counts_once():
    one = made(seconds=10.0)
    assert total([one, one]) == cost_of(one)


def test_what_was_made_on_a_gpu_held_it_as_long_as_it_took():
    assert cost_of(made(seconds=10.0, device="cuda", **TRAINED)).gpu_seconds == 10.0


def test_tokens_that_were_only_measured_on_are_not_learned_from():
    assert cost_of(made("evaluate_model", seconds=1.0, tokens=500)).tokens == 0


def test_of_what_was_made_elsewhere_nobody_knows_what_it_took():
    assert total([made(), made("merge_models", seconds=1.0)]).unknown == 1


def session(place: Workspace, run: str, **outcomes: Outcome) -> Session:
    here = Session(place, flow="pretrain", experiment="tiny", run_id=run)
    here.outcomes.update(outcomes)
    return here


def test_a_run_notes_what_it_made_and_what_it_would_have_had_to_make(place: Workspace):
    old, new = made("split_corpus", seconds=8.0), made(seconds=3.0)
    note_run(session(place, "r1", a=Outcome("reused", old), b=Outcome("built", new, seconds=3.0)))
    note_run(session(place, "r2", a=Outcome("reused", old), b=Outcome("restored", new)))
    first, second = ledger(place)
    assert (first.run, first.flow, first.experiment) == ("r1", "pretrain", "tiny")
    assert (first.made, first.reused) == ({new.key[:12]: 3.0}, {old.key[:12]: 8.0})
    assert saved([first, second]) == (2, 3, 8.0 + 8.0 + 3.0)
    assert saved([first, second], [new.key]) == (1, 1, 3.0)


def test_half_a_line_of_a_killed_run_is_passed_over_and_the_next_one_begins_anew(place: Workspace):
    place.private.mkdir(exist_ok=True)
    (place.private / LEDGER).write_text('{"run": "torn", "flo')
    note_run(session(place, "r2", a=Outcome("reused", made(seconds=1.0))))
    assert [run.run for run in ledger(place)] == ["r2"]


def test_a_lost_ledger_is_found_again_in_the_books(place: Workspace):
    old = made("split_corpus", seconds=8.0)
    Store(place).remember(old)
    with FlowRun(place.root, flow="pretrain", experiment="pretrain", lm_run_id="my tiny r7").start() as books:
        books.link_reused("split_corpus tiny", old.key, None)
    (run,) = ledger(place)
    assert run == RunCost("r7", "pretrain", "my tiny", run.when, {}, {old.key[:12]: 8.0})
    note_run(session(place, "r7", a=Outcome("reused", old)))
    assert len(ledger(place)) == 1  # what the ledger has is not counted again


def write(file: Path, size: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)


def test_every_byte_has_one_kind_and_a_file_with_two_names_counts_once(tmp_path: Path):
    root = tmp_path
    write(root / "data" / "sources" / "a" / "a.txt", 1)
    write(root / "data" / "corpora" / "tiny" / "train.parquet", 20)
    write(root / "models" / "pretrain_model-1" / "model.safetensors", 300)
    write(root / ".lm" / "scratch" / "x" / "model.safetensors", 4000)
    write(root / ".dvc" / "cache" / "files" / "md5" / "ab" / "cd", 50_000)
    os.link(root / ".dvc" / "cache" / "files" / "md5" / "ab" / "cd", root / ".dvc" / "again")
    write(root / "experiments" / "tiny.yaml", 600_000)
    write(root / ".git" / "objects" / "x", 10**6)
    found = usage(Workspace(root))
    assert found.kinds == {
        "sources in the workspace": 1,
        "data products": 20,
        "models": 300,
        "unfinished work": 4000,
        "DVC's cache of data versions": 50_000,
        "everything else": 600_000,
    }
    assert found.total == 654_321


def test_products_belong_to_the_experiments_that_link_to_them(tmp_path: Path):
    for number, size in ((1, 1), (2, 20), (3, 300)):
        write(tmp_path / "models" / f"pretrain_model-{number}" / "model.safetensors", size)
    for name, number in (("one", 1), ("one", 2), ("two", 2)):
        link = tmp_path / "models" / name / f"step-{number}"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(Path("..") / f"pretrain_model-{number}")
    write(tmp_path / "data" / "corpora" / "one" / "x", 4000)
    write(tmp_path / "reports" / "runs" / "one-abc.html", 50_000)
    assert usage(Workspace(tmp_path)).experiments == {PAGES: 50_000, "one": 4001, UNLINKED: 300, SHARED: 20}


def test_the_ledger_is_lines_of_json(place: Workspace):
    note_run(session(place, "r1", a=Outcome("reused", made(seconds=1.0))))
    (line,) = (place.private / LEDGER).read_text().splitlines()
    assert json.loads(line)["run"] == "r1"
