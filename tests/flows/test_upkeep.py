"""Accepting code, pruning and the doctor, on what the real pipeline makes and leaves."""

import re
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from tasks.engine.server import prefect_server
from tasks.engine.workspace import Workspace

ROOT = Path(__file__).parents[2]


@pytest.fixture
def edited(tmp_path):
    """A copy of the code to change: `edited(file, before, after)` gives the environment to run it in."""
    code = tmp_path / "code"
    for package in ("flows", "tasks", "lmcore"):
        shutil.copytree(ROOT / package, code / package)

    def edit(file: str, before: str, after: str) -> dict[str, str]:
        text = (code / file).read_text()
        assert before in text
        (code / file).write_text(text.replace(before, after))
        return {"PYTHONPATH": str(code), "LM_SLOTS": str(tmp_path / "slots")}

    return edit


def test_a_refactored_trainer_is_accepted_after_twenty_steps_and_a_changed_one_is_not(moved, edited):
    there = edited("lmcore/train/loop.py", "run.step += 1", "run.step += 1; run.loss += 1e-9")
    out = moved("pretrain", "tiny", "--accept-code", code=1, **there)
    assert re.search(
        r"pretrain_model tiny: the new code makes something else: loss \S+ -> \S+ at step 1 ", out
    )
    assert out.strip().splitlines()[-1].startswith("lm: pretrain_model")
    assert not (moved.workspace / "accepted.yaml").exists()
    there = edited("lmcore/train/loop.py", "run.step += 1; run.loss += 1e-9", "run.step = 1 + run.step")
    out = moved("plan", "pretrain", "tiny", "--accept-code", **there)
    assert (
        "pretrain_model tiny: replayed 20 steps, equal bit for bit; accepted (lmcore.train.loop.train)" in out
    )
    assert "accepted code (replayed 20 steps)" in out
    assert "10 steps, 10 reused" in out


@pytest.fixture
def served(moved):
    """The workspace with a Prefect server of its own, in whose books nobody else writes."""
    with prefect_server(Workspace(moved.workspace)):
        yield moved


def test_what_a_killed_run_leaves_in_the_books_is_found_and_mended(served):
    run = served.start("pretrain", "tiny", "train.steps=100000", LM_SLOTS=str(served.workspace / "slots"))
    while run.poll() is None and not list(
        served.workspace.glob(".lm/scratch/pretrain_model-*/metrics.jsonl")
    ):
        time.sleep(0.05)
    run.kill()
    run.communicate()
    out = served("doctor", code=1)
    assert out.count("found: Prefect's run") == 1
    assert out.count("found: MLflow's run") == 2
    assert re.search(r"note: pretrain_model \(\S+\) was interrupted; the next run goes on with it", out)
    assert "3 things to see to; lm doctor --fix mends all of them" in out
    out = served("doctor", "--fix")
    assert out.count("mended: ") == 3
    assert "all is well" in out
    with sqlite3.connect(served.workspace / "mlflow.db") as database:
        assert database.execute("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone() == (0,)
    with sqlite3.connect(served.workspace / ".lm" / "prefect" / "prefect.db") as database:
        crashed = database.execute("SELECT count(*) FROM flow_run WHERE state_type = 'CRASHED'").fetchone()
    assert crashed == (1,)


def test_a_workspace_in_order_is_told_in_one_line_and_a_damaged_copy_in_the_registry_is_mended(moved):
    out = moved("doctor", "--verify")
    assert out.startswith(f"all is well: {len(moved.digests())} products and 2 registered versions")
    assert len(out.strip().splitlines()) == 1
    weights = next(moved.workspace.glob("mlartifacts/**/model.safetensors"))
    content = weights.read_bytes()
    weights.write_bytes(content[:-40] + bytes(40))
    out = moved("doctor", code=1)
    assert re.search(r"found: \S+ v1 in the registry is damaged: mlartifacts/\S+ was changed", out)
    assert "copy it again from models/" in out
    assert "all is well" in moved("doctor", "--fix")
    assert weights.read_bytes() == content


def test_pruning_keeps_what_the_registry_holds_when_its_experiment_is_gone(moved):
    before, experiment = moved.digests(), moved.workspace / "experiments" / "build_assistant" / "tiny.yaml"
    assert re.search(
        r"gone: \d+ pieces \(", moved("prune", "--older-than", "0")
    )  # work kept for the next run
    assert "nothing to prune" in moved("prune", "--older-than", "0")
    experiment.unlink()
    would = re.search(r"would go: (\d+ products)", moved("prune", "--dry-run", "--older-than", "0"))
    assert moved.digests() == before
    out = moved("prune", "--older-than", "0")
    assert f"gone: {would[1]} " in out
    assert re.search(r"B  reports/compare_models-\w{12} +compare_models tiny", out)
    left = moved.digests()
    assert left.items() < before.items()
    assert would[1] == f"{len(before) - len(left)} products"
    assert "jane_austen: Public domain" in moved("lineage", "tiny@champion")
    assert "all is well" in moved("doctor")
