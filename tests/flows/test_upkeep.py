"""Accepting code, pruning and the doctor, on what the real pipeline makes and leaves."""

import os
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
        shutil.copytree(ROOT / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))

    def edit(file: str, before: str, after: str) -> dict[str, str]:
        text = (code / file).read_text()
        assert before in text
        (code / file).write_text(text.replace(before, after))
        return {"PYTHONPATH": str(code)}

    return edit


def test_a_refactored_trainer_is_accepted_after_twenty_steps_and_a_changed_one_is_not(moved, edited):
    before = moved.digests()
    there = edited("lmcore/train/loop.py", "run.step += 1", "run.step = 1 + run.step")
    assert "lmcore.train.loop.train changed" in moved("plan", "build_assistant", "tiny", **there)
    out = moved("build_assistant", "tiny", "--accept-code", **there)
    assert "pretrain_model tiny: replayed 20 steps, equal bit for bit; accepted" in out
    assert "11 reused" in out
    assert "accepted code (replayed 20 steps)" in moved("plan", "build_assistant", "tiny", **there)
    accepted = (moved.workspace / "accepted.yaml").read_bytes()
    there = edited("lmcore/train/loop.py", "run.step = 1 + run.step", "run.step += 1; run.loss += 1e-9")
    out = moved("build_assistant", "tiny", "--accept-code", code=1, **there)
    assert re.search(
        r"pretrain_model tiny: the new code makes something else: loss \S+ -> \S+ at step 1 ", out
    )
    assert len(out.strip().splitlines()) == 1
    assert (moved.workspace / "accepted.yaml").read_bytes() == accepted
    assert moved.digests() == before


def test_what_a_killed_run_leaves_in_the_books_is_found_and_mended(moved, with_server):
    with_server(moved)
    run = moved.start("pretrain", "tiny", "train.steps=100000")
    while run.poll() is None and not list(moved.workspace.glob(".lm/scratch/pretrain_model-*/resume/step-*")):
        time.sleep(0.05)
    run.kill()
    run.communicate()
    out = moved("doctor", code=1)
    assert out.count("found: Prefect's run") == 1
    assert out.count("found: MLflow's run") == 2
    assert re.search(r"note: pretrain_model \(\S+\) was interrupted at step \S+; the next run goes on", out)
    assert "3 things to see to; lm doctor --fix mends all of them" in out
    out = moved("doctor", "--fix")
    assert out.count("mended: ") == 3
    with sqlite3.connect(moved.workspace / "mlflow.db") as database:
        assert database.execute("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone() == (0,)
    with sqlite3.connect(moved.workspace / ".lm" / "prefect" / "prefect.db") as database:
        states = database.execute("SELECT count(*) FROM flow_run WHERE state_type = 'CRASHED'").fetchone()
    assert states == (1,)
    assert "was interrupted" in moved("doctor")
    assert moved("doctor", "--fix", "--all").startswith("mended: pretrain_model")
    assert len(moved("doctor").strip().splitlines()) == 1


def test_a_damaged_copy_in_the_registry_is_copied_again_and_a_lost_product_as_well(moved):
    before = moved.digests()
    (weights,) = moved.workspace.glob("mlartifacts/**/pretrain_model-*/model.safetensors")
    content = weights.read_bytes()
    weights.write_bytes(content[:-40] + bytes(40))
    assert "tiny v1 in the registry is damaged" in moved("doctor", code=1)
    moved("doctor", "--fix")
    assert weights.read_bytes() == content
    shutil.rmtree(moved.address("pretrain_model"))
    assert "models/tiny/pretrain_model leads to" in moved("doctor", code=1)
    moved("doctor", "--fix")
    moved("build_assistant", "tiny")
    assert moved.digests() == before


def test_a_workspace_in_order_is_told_in_one_line(built):
    out = built("doctor", "--verify")
    assert out.startswith("all is well: 11 products and 1 registered version")
    assert len(out.strip().splitlines()) == 1


def test_pruning_keeps_what_the_experiment_and_the_registry_hold(moved):
    before = moved.digests()
    moved("evaluate", "tiny", "evaluate.num_resamples=201", "--until", "evaluate_model")
    assert len(moved.digests()) == len(before) + 1
    out = moved("prune")
    assert "nothing to prune" in out
    then = time.time() - 20 * 86_400
    for note in moved.workspace.glob(".lm/manifests/*.json"):
        os.utime(note, (then, then))
    dry = moved("prune", "--dry-run")
    assert "would go: 1 product" in dry
    assert "reports/evaluate_model-" in dry
    out = moved("prune")
    assert "gone: 1 product" in out
    assert moved.digests() == before
    assert set(moved.actions().values()) == {"reuse"}
    assert len(moved("doctor").strip().splitlines()) == 1
