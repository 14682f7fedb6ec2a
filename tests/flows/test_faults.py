"""Killed at a bad moment, two at once, wrong input: a clear line, and nothing lost."""

import os
import random
import signal
import sqlite3
import time
from itertools import cycle

import pytest

STEPS = (
    "ingest_source", "clean_documents", "deduplicate_documents", "split_corpus", "describe_corpus",
    "train_tokenizer", "write_shards", "pretrain_model", "evaluate_model", "continue_training",
    "merge_models", "compare_models", "choose_model", "register_model", "write_conversations",
    "finetune_model", "examine_models",
)  # fmt: skip
"""In the order in which a run comes to them."""
NUM_KILLS = 10
WITHOUT_SERVER = {"DVC_STAGE": "test"}
"""As under `dvc repro`: all steps run in the process itself."""


@pytest.mark.timeout(1500)  # eleven runs from the start, also on a machine that has other work
def test_killed_ten_times_on_its_way_the_run_ends_with_the_same_digests(built, fresh, with_server):
    with_server(fresh)
    generator = random.Random(11)
    steps = sorted(generator.sample(STEPS, NUM_KILLS), key=STEPS.index)
    killed = [
        # Some runs are Prefect's; the others, in the process itself, start faster.
        fresh.kill_inside(step, generator.uniform(0, 0.15), "build_assistant", "tiny", **environment)
        for step, environment in zip(steps, cycle(({}, WITHOUT_SERVER, WITHOUT_SERVER)), strict=False)
    ]
    assert sum(killed) == NUM_KILLS
    fresh("build_assistant", "tiny")
    assert fresh.digests() == built.digests()
    with sqlite3.connect(fresh.workspace / "mlflow.db") as database:
        running = database.execute("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone()[0]
    assert running == 0


def test_training_goes_on_where_it_was_stopped_politely(built, fresh, with_server):
    with_server(fresh)
    process = fresh.start("pretrain", "tiny")
    metrics = fresh.workspace / ".lm" / "scratch"
    while process.poll() is None and not any(
        file.stat().st_size for file in metrics.glob("pretrain_model-*/metrics.jsonl")
    ):
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert list(metrics.glob("pretrain_model-*/resume/*"))
    fresh("pretrain", "tiny")
    assert fresh.digests().items() <= built.digests().items()


def test_a_killed_sweep_goes_on_and_ends_in_what_its_variants_are_alone(fresh, with_server):
    with_server(fresh)
    sweep = ("pretrain", "tiny", "train.steps=20", "train.validate_every=10", "train.seed=1,2")
    assert fresh.kill_inside("pretrain_model", 1.0, *sweep)
    output = fresh(*sweep)
    assert "best validation bits per byte: train.seed=" not in output  # seeds of one recipe are no contest
    assert output.count("models/pretrain_model-") == 2
    alone = ("pretrain", "tiny", "train.steps=20", "train.validate_every=10", "train.seed=2")
    before = fresh.digests()
    assert "same bytes as before" in fresh(*alone, "--force", "pretrain_model", **WITHOUT_SERVER)
    assert fresh.digests() == before


def test_two_runs_at_once_where_nothing_was_initialised_do_each_step_once(built, fresh):
    runs = [fresh.start("evaluate", "tiny") for _ in range(2)]
    outputs = ["".join(run.communicate(timeout=280)) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert not any("Traceback" in output for output in outputs), outputs
    made = fresh.digests()
    assert sum(output.count("  built ") for output in outputs) == len(made), outputs
    assert made.items() <= built.digests().items()
    assert "evaluate_model tiny" in made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("tokeniser: {vocab_size: 512}", "Did you mean 'tokenizer'?"),
        ("train: {steps: many}", "'train.steps' is 'many'"),
        ("train: {stepz: 3}", "Did you mean 'steps'?"),
        ("sources: []", "'sources'"),
        ("sources: [jane_austin]", "Did you mean 'jane_austen'?"),
        ("filters: [{type: lenght}]", "Did you mean 'length'?"),
        ("model: {width: 15, num_heads: 2}", "multiple of 4"),
        ("[not, a, mapping]", "setting: value"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_mistake_in_an_experiment_is_one_line_with_the_cure(fresh, change, message):
    base = "" if change.startswith(("sources", "[", "a:")) else "sources: [jane_austen]\n"
    (fresh.workspace / "experiments" / "build_assistant" / "wrong.yaml").write_text(base + change + "\n")
    output = fresh("build_assistant", "wrong", code=2)
    assert message in output
    assert len(output.strip().splitlines()) == 1
    assert not (fresh.workspace / "data" / "raw").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("build_assistant", "dmeo"), "no experiment named 'dmeo'"),
        (("plan", "build_asistant", "tiny"), "Did you mean 'build_assistant'?"),
        (("build_assistant", "tiny", "--force", "train"), "no step named 'train'"),
        (("build_assistant", "tiny", "model.width"), "write setting=value"),
        (("generate", "nobody"), "no model 'nobody'"),
        (("generate", "nobody@champion"), "no version 'champion'"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_with_the_cure(fresh, arguments, message):
    output = fresh(*arguments, code=2)
    assert message in output
    assert len(output.strip().splitlines()) == 1
