"""The whole way as a user takes it."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest
import torch

from tasks.tracking import open_store

STEPS = {
    "ingest_source", "clean_documents", "filter_documents", "deduplicate_documents", "split_corpus",
    "describe_corpus", "train_tokenizer", "write_shards", "write_conversations", "pretrain_model",
    "continue_training", "finetune_model", "merge_models", "evaluate_model", "compare_models",
    "examine_models", "choose_model", "register_model",
}  # fmt: skip


def test_a_first_run_makes_everything_and_says_what_to_open_next(built):
    output = (built.workspace / "output.txt").read_text()
    assert output.count("  built ") == built.num_calls
    assert "bits per byte" in output
    assert "lm generate tiny@champion" in output
    assert {label.split()[0] for label in built.digests()} == STEPS


def test_the_model_beats_a_unigram_model_on_held_out_text(built):
    scores = json.loads((built.address("evaluate_model") / "scores.json").read_text())
    assert scores["model_minus_unigram"]["bits_per_byte"]["high"] < 0


def test_a_second_run_reuses_everything_and_starts_no_server(moved):
    before = moved.digests()
    (moved.workspace / ".lm" / "prefect" / "server.log").unlink()
    output = moved("build_assistant", "tiny")
    assert output.count("proved intact") == moved.num_calls
    assert "nothing to make" in output
    assert not (moved.workspace / ".lm" / "prefect" / "server.log").exists()
    assert moved.digests() == before


def test_in_another_folder_nothing_runs_and_the_registered_model_still_writes(moved):
    assert set(moved.actions().values()) == {"reuse"}
    assert moved("generate", "tiny@champion", "--prompt", "She", "--max-new-tokens", "5").startswith("She")
    shutil.rmtree(moved.workspace / "models")
    assert moved("generate", "tiny@champion", "--prompt", "She", "--max-new-tokens", "5").startswith("She")


def test_each_flow_runs_by_itself_from_the_same_experiment(moved):
    for flow in (
        "prepare_corpus", "train_tokenizer", "write_shards", "write_conversations", "pretrain", "evaluate",
        "finetune", "merge",
    ):  # fmt: skip
        assert "nothing to make" in moved(flow, "tiny")


def test_verify_reads_every_byte_again(moved):
    weights = moved.address("pretrain_model") / "model.safetensors"
    stat = weights.stat()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    with weights.open("r+b") as file:  # the same inode, size and modification time; only ctime tells
        file.write(content)
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert moved.actions()["pretrain_model"] != "reuse"
    assert "proved intact" in moved("train_tokenizer", "tiny", "--verify")


def test_the_model_loads_with_mlflow_in_another_process_and_folder(moved, tmp_path):
    script = (
        "import mlflow, sys\n"
        "model = mlflow.pyfunc.load_model('models:/tiny@champion')\n"
        "print(model.predict(['She'], params={'max_new_tokens': 5}))\n"
    )
    uri = f"sqlite:///{moved.workspace}/mlflow.db"
    open_store(
        moved.workspace
    )  # as every command that talks to MLflow does: addresses are true again after a move
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"MLFLOW_TRACKING_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("['")


@pytest.mark.filterwarnings("ignore")
def test_transformers_loads_the_same_folder_with_equal_logits(built):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from lmcore.interop.hugging_face import load_folder

    folder = built.address("pretrain_model")
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(
        "It is a truth universally acknowledged", return_tensors="pt"
    )
    ours = load_folder(folder).eval()
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens["input_ids"]), theirs(**tokens).logits, atol=1e-5, rtol=1e-5)


def test_lineage_ends_in_every_source_file_with_its_digest_and_licence(built):
    text = built("lineage", "tiny@champion")
    for file in ("northanger_abbey.txt.gz", "08_ruth.txt.gz", "17_esther.txt.gz", "32_jonah.txt.gz"):
        assert file in text
    assert "Public domain" in text
    document = json.loads(built("lineage", "tiny@champion", "--json"))
    corpus = document["products"]["data/corpora/tiny"]
    assert corpus["step"] == "split_corpus"
    assert document["products"]["data/sources/jane_austen"]["files"].keys() == {"northanger_abbey.txt.gz"}


def test_mlflow_has_one_parent_run_with_a_child_for_each_step_its_data_and_the_model(built):
    with sqlite3.connect(built.workspace / "mlflow.db") as database:
        statuses = {row[0] for row in database.execute("SELECT status FROM runs")}
        steps = {row[0] for row in database.execute("SELECT value FROM tags WHERE key = 'lm.step'")}
        parents = {
            row[0] for row in database.execute("SELECT value FROM tags WHERE key = 'mlflow.parentRunId'")
        }
        datasets = {row[0] for row in database.execute("SELECT name FROM datasets")}
        alias = database.execute("SELECT name, alias, version FROM registered_model_aliases").fetchall()
    assert statuses == {"FINISHED"}
    assert {step.split()[0] for step in steps} == STEPS
    assert len(parents) == 1
    assert "tiny" in datasets
    assert alias == [("tiny", "champion", 1), ("tiny-assistant", "champion", 1)]
    assert len(list(built.workspace.glob("mlartifacts/**/loss_curve.png"))) >= 1
    assert len(list(built.workspace.glob("mlartifacts/**/scores.png"))) >= 1


def test_list_and_status_tell_what_there_is(built):
    listed = built("list")
    assert "data/corpora/tiny" in listed
    assert "champion" in listed
    assert "0 products being made now" in built("status")
