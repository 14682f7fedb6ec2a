"""Accepting code, pruning and the doctor, on what the real pipeline makes and leaves."""

import re
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def edited(moved, tmp_path):
    """The built workspace, and a copy of the code to change: `edit(file, before, after)`."""
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
    out = moved("build_assistant", "tiny", "--accept-code", code=1, **there)
    assert re.search(
        r"pretrain_model tiny: the new code makes something else: loss \S+ -> \S+ at step 1 ", out
    )
    assert len(out.strip().splitlines()) == 1
    assert not (moved.workspace / "accepted.yaml").exists()
    there = edited("lmcore/train/loop.py", "run.step += 1; run.loss += 1e-9", "run.step = 1 + run.step")
    out = moved("plan", "build_assistant", "tiny", "--accept-code", **there)
    assert "pretrain_model tiny: replayed 20 steps, equal bit for bit; accepted" in out
    assert "accepted code (replayed 20 steps)" in out
    assert "11 steps, 11 reused" in out


def test_what_a_killed_run_leaves_in_the_books_is_found_and_mended(moved, with_server):
    with_server(moved)
    run = moved.start("pretrain", "tiny", "train.steps=100000")
    while run.poll() is None and not list(moved.workspace.glob(".lm/scratch/pretrain_model-*/metrics.jsonl")):
        time.sleep(0.05)
    run.kill()
    run.communicate()
    out = moved("doctor", code=1)
    assert out.count("found: Prefect's run") == 1
    assert out.count("found: MLflow's run") == 2
    assert re.search(r"note: pretrain_model \(\S+\) was interrupted; the next run goes on", out)
    assert "3 things to see to; lm doctor --fix mends all of them" in out
    out = moved("doctor", "--fix")
    assert out.count("mended: ") == 3
    with sqlite3.connect(moved.workspace / "mlflow.db") as database:
        assert database.execute("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone() == (0,)
    with sqlite3.connect(moved.workspace / ".lm" / "prefect" / "prefect.db") as database:
        states = database.execute("SELECT count(*) FROM flow_run WHERE state_type = 'CRASHED'").fetchone()
    assert states == (1,)
    assert moved("doctor", "--fix", "--all").startswith("mended: pretrain_model")


def test_a_workspace_in_order_is_told_in_one_line_and_a_damaged_copy_in_the_registry_is_mended(moved):
    out = moved("doctor", "--verify")
    assert out.startswith("all is well: 11 products and 1 registered version")
    assert len(out.strip().splitlines()) == 1
    (weights,) = moved.workspace.glob("mlartifacts/**/pretrain_model-*/model.safetensors")
    content = weights.read_bytes()
    weights.write_bytes(content[:-40] + bytes(40))
    out = moved("doctor", code=1)
    assert "found: tiny v1 in the registry is damaged: mlartifacts/" in out
    assert "copy it again from models/pretrain_model-" in out
    assert "all is well" in moved("doctor", "--fix")
    assert weights.read_bytes() == content


def test_pruning_keeps_what_the_registry_holds_when_its_experiment_is_gone(moved):
    before, experiment = moved.digests(), moved.workspace / "experiments" / "build_assistant" / "tiny.yaml"
    assert "nothing to prune" in moved("prune", "--older-than", "0")
    text = experiment.read_text()
    experiment.unlink()
    assert "nothing to prune" in moved("prune")
    assert "would go: 3 products" in moved("prune", "--dry-run", "--older-than", "0")
    out = moved("prune", "--older-than", "0")
    assert re.search(r"\d B|kB +reports/evaluate_model-\w{12} +evaluate_model tiny", out)
    assert "gone: 3 products" in out
    experiment.write_text(text)
    gone = {"describe_corpus tiny", "evaluate_model tiny", "register_model tiny"}
    assert before.keys() - moved.digests().keys() == gone
    assert moved.digests().items() <= before.items()
    actions = moved.actions()
    assert {step for step, action in actions.items() if action != "reuse"} == {
        label.partition(" ")[0] for label in gone
    }
    assert len(moved("doctor").strip().splitlines()) == 1
