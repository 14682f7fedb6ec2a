"""What somebody meets who knows DVC, and what a second clone meets: `lm`, DVC and the tiny experiment."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.cli.catalog import find_flow, kind_of
from tasks.engine.experiment import load_experiment
from tasks.engine.stages import declare
from tasks.engine.workspace import Workspace
from tasks.versioning.pipeline import is_ours

ROOT = Path(__file__).parents[2]
DATA = (
    "ingest_source", "clean_documents", "filter_documents", "deduplicate_documents", "split_corpus",
    "train_tokenizer", "write_shards",
)  # fmt: skip


def dvc(lm, *arguments: str) -> str:
    if not (lm.workspace / ".git").exists():  # as the configuration of a repository asks for
        subprocess.run(["git", "init", "--quiet", str(lm.workspace)], check=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=lm.workspace, env=os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stages(folder: Path, file: str = "dvc.yaml") -> dict:
    return yaml.safe_load((folder / file).read_text())["stages"]


def products(lm) -> int:
    """How many products lie in their places."""
    patterns = ("data/*/*", "models/*", "reports/*")
    return sum(len(list(lm.workspace.glob(f"{pattern}/manifest.json"))) for pattern in patterns)


def set_remote(lm, url: Path) -> None:
    dvc(lm, "remote", "add", "--default", "store", str(url))


@pytest.mark.parametrize("name", ["demo", "tiny"])
def test_the_dvc_yaml_of_the_repository_is_in_step_with_the_flows(name, tmp_path):
    """Where it is not: run `lm build_assistant NAME` in the repository, and commit dvc.yaml and dvc.lock."""
    for folder in ("data/sources", "flows/experiments"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    workspace = Workspace(tmp_path)
    experiment = load_experiment(workspace, "build_assistant", name, [], kind_of)
    declared = declare(workspace, find_flow("build_assistant"), experiment).stages
    written = stages(ROOT)
    assert {stage: written.get(stage) for stage in declared} == {
        stage: each.entry() for stage, each in declared.items()
    }
    mine = {stage for stage, entry in written.items() if (is_ours(entry) or ("", ""))[1] == name}
    beside = declare(workspace, find_flow("embed_words"), experiment).stages
    assert declared.keys() <= mine <= declared.keys() | beside.keys()


def test_after_a_run_dvc_is_up_to_date_and_draws_the_way_from_source_to_shards(moved):
    assert "up to date" in dvc(moved, "status")
    assert {name.partition("-")[0] for name in stages(moved.workspace)} >= set(DATA)
    drawn = dvc(moved, "dag", "--mermaid")
    assert "write_shards-tiny" in drawn
    assert {name for name in stages(moved.workspace) if name not in drawn} == set()


def test_dvc_makes_a_corpus_from_nothing_and_lm_finds_it_made(built, fresh):
    for file in ("dvc.yaml", ".dvcignore"):
        shutil.copy(built.workspace / file, fresh.workspace)
    dvc(fresh, "repro", "split_corpus-tiny")
    assert not (fresh.workspace / ".lm" / "prefect").exists()
    ours, theirs = stages(fresh.workspace, "dvc.lock"), stages(built.workspace, "dvc.lock")
    assert len(ours) == 6
    assert ours == {name: theirs[name] for name in ours}
    assert {fresh.actions()[step] for step in DATA[:5]} == {"reuse"}


def test_a_second_clone_takes_all_that_was_pushed_runs_nothing_and_knows_each_source_file(
    moved, workspace_at, tmp_path
):
    set_remote(moved, tmp_path / "remote")
    assert f"{products(moved)} products pushed" in moved("push")
    assert "0 products pushed" in moved("push", "tiny")
    second = workspace_at(tmp_path / "second")
    for file in ("dvc.yaml", "dvc.lock", ".dvcignore", ".dvc/config"):
        shutil.copy(moved.workspace / file, second.workspace / file)
    locked = (second.workspace / "dvc.lock").read_text()
    assert set(second.actions().values()) == {"restore"}
    output = second("build_assistant", "tiny")
    assert output.count("  restored ") >= products(moved), output
    assert "built" not in output
    assert not (second.workspace / ".lm" / "prefect").exists()
    assert second.digests() == moved.digests()
    assert set(second.actions().values()) == {"reuse"}
    assert (second.workspace / "dvc.lock").read_text() == locked
    lineage = second("lineage", "tiny@champion")
    assert "northanger_abbey.txt.gz" in lineage
    assert "made elsewhere" in lineage
    assert "registered model tiny v1 (champion)\n" in lineage
    document = json.loads(second("lineage", "tiny@champion", "--json"))
    assert document == json.loads(moved("lineage", "tiny@champion", "--json"))
    assert second("generate", "tiny@champion", "--prompt", "She", "--max-new-tokens", "5").startswith("She")


def test_pull_fetches_what_there_is_and_names_what_nobody_has_pushed(moved, workspace_at, tmp_path):
    shutil.rmtree(moved.address("pretrain_model"))
    set_remote(moved, tmp_path / "remote")
    moved("push", "tiny")
    second = workspace_at(tmp_path / "second")
    shutil.copy(moved.workspace / ".dvc" / "config", second.workspace / ".dvc" / "config")
    output = second("pull", "write_shards", "tiny")
    assert "restored, 0 were here" in output
    assert "lacking" not in output
    output = second("pull", "pretrain", "tiny")
    assert "lacking  pretrain_model tiny" in output
    assert "0 products restored" in output
    assert "lm pretrain tiny makes them" in output


@pytest.mark.parametrize(
    ("command", "url", "message"),
    [
        (("push",), None, "dvc remote add --default NAME URL"),
        (("pull", "pretrain", "tiny"), None, "dvc remote add --default NAME URL"),
        (("push",), "/nowhere/at/all", "there is no /nowhere/at; mount it, or make the folder"),
    ],
)
def test_a_mistake_with_a_remote_is_one_line_with_the_cure(fresh, command, url, message):
    if url:
        set_remote(fresh, Path(url))
    output = fresh(*command, code=2)
    assert message in output
    assert len(output.strip().splitlines()) == 1
    if url:
        assert "going on without it" in fresh("plan", "prepare_corpus", "tiny").splitlines()[-1]
