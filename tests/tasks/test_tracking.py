"""Runs, models and their registry: MLflow's own client and loader are the oracles."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.tracking import (
    Dataset,
    FlowRun,
    Journal,
    Registered,
    TrackingError,
    close_orphans,
    find_copy,
    find_model,
    open_store,
    promote,
    register,
    registered,
    set_alias,
    tracking_uri,
    versions,
)
from tasks.tracking.figures import loss_curve, scores_chart
from tasks.tracking.names import flatten, legal_name
from tasks.tracking.processes import identity

ROOT = Path(__file__).parents[2]
BOOKS = Dataset("books", "ab" * 32, "data/shards/books", "training")
TEST = Dataset("books", "cd" * 32, "data/shards/books", "evaluation")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model product of a few thousand parameters, with random weights."""
    import torch

    from lmcore.interop.hugging_face import save_folder
    from lmcore.models.settings import TransformerConfig
    from lmcore.models.transformer import Transformer
    from lmcore.tokenizers.bpe import train
    from lmcore.tokenizers.control import END_OF_TEXT
    from lmcore.tokenizers.settings import TokenizerConfig

    tokenizer, model = tmp_path_factory.mktemp("tokenizer"), tmp_path_factory.mktemp("models") / "pretrain-1"
    document = train(
        iter(["the cat sat on the mat and the dog on the log " * 9]),
        TokenizerConfig.model_validate({"vocab_size": 275}),
    )
    (tokenizer / "tokenizer.json").write_text(json.dumps(document))
    (tokenizer / "tokenizer_config.json").write_text(json.dumps({"eos_token": END_OF_TEXT}))
    torch.manual_seed(0)
    config = TransformerConfig.model_validate(
        {"width": 16, "num_layers": 1, "num_heads": 2, "context_tokens": 32}
    )
    save_folder(Transformer(config, 275), tokenizer, model)
    (model / "manifest.json").write_text("{}\n")
    return model


def start(workspace: Path, **tags: str) -> FlowRun:
    return FlowRun(workspace, flow="pretrain", experiment="tiny", lm_run_id="one", tags=tags).start()


def register_tiny(workspace: Path, model: Path, digest: str = "d1", **changes: Any) -> Registered:
    settings = {"name": "tiny", "alias": "champion", "key": f"key-of-{digest}", "digest": digest, **changes}
    return register(workspace, model, **settings)


def python(
    script: str, *arguments: object, cwd: Path = ROOT, warn: str = "error", **environment: str
) -> subprocess.Popen[str]:
    """Another process, in which a warning is an error."""
    command = [sys.executable, "-W", warn, "-c", script, *map(str, arguments)]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=cwd, env={**os.environ, **environment}, **pipes)


def client_of(workspace: Path) -> Any:
    """MLflow's own client, whose answers are the oracle."""
    return open_store(workspace)


def status_of(workspace: Path, run_id: str) -> str:
    return str(client_of(workspace).get_run(run_id).info.status)


# The store


def test_two_first_uses_at_once_both_work_and_say_nothing(tmp_path: Path, tiny_model: Path) -> None:
    script = (
        "import sys, pathlib; from tasks.tracking import FlowRun, register;"
        "w, m = map(pathlib.Path, sys.argv[1:3]);"
        "r = FlowRun(w, 'pretrain', 'tiny', sys.argv[3]).start();"
        "register(w, m, name='tiny', alias='champion', key='k', digest='d', run_id=r.run_id); r.finish()"
    )
    both = [python(script, tmp_path, tiny_model, name) for name in "ab"]
    assert [process.communicate() for process in both] == [("", ""), ("", "")]
    assert [process.returncode for process in both] == [0, 0]
    runs = client_of(tmp_path).search_runs([client_of(tmp_path).get_experiment_by_name("tiny").experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["a", "b"]
    assert [version.aliases for version in versions(tmp_path)] == [("champion",)]


def test_importing_and_looking_never_import_mlflow(workspace: Path) -> None:
    script = (
        "import sys, pathlib; from tasks.tracking import *; import tasks.tracking.figures;"
        "w = pathlib.Path(sys.argv[1]); assert close_orphans(w) == versions(w) == [];"
        "assert find_copy(w, 'k') is find_model(w, 'k') is None;"
        "assert registered(w, 'm', 'champion') is None;"
        "assert not {'mlflow', 'torch', 'matplotlib', 'dvc', 'pandas'} & set(sys.modules)"
    )
    for folder in (workspace, workspace / "without a store"):
        assert python(script, folder).communicate() == ("", "")


def test_a_store_of_another_mlflow_is_refused_with_the_cure(workspace: Path) -> None:
    with closing(sqlite3.connect(workspace / "mlflow.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0'")
    with pytest.raises(
        TrackingError, match=r"another version of MLflow; .* run: mlflow db upgrade sqlite:///"
    ):
        open_store(workspace)


def test_a_path_that_mlflow_cannot_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="rename it"):
        open_store(tmp_path / "100%")


def test_the_process_wide_settings_of_mlflow_stay_as_they_are(
    workspace: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    with start(workspace) as flow, flow.step("train", "k1") as step:
        register_tiny(workspace, tiny_model, run_id=step.run_id)
    mlflow_says: Any = mlflow
    assert not mlflow_says.is_tracking_uri_set()
    assert mlflow.active_run() is None
    assert list(tmp_path.iterdir()) == [workspace]


# Runs


def test_steps_nest_below_their_flow_with_settings_and_data(workspace: Path) -> None:
    params = {"model": {"width": 8, "tied": True}, "sizes": [1, 2], "parts": [{"type": "length"}]}
    with (
        start(workspace, **{"lm.experiment": "tiny"}) as flow,
        flow.step("train", "k1", params, [BOOKS]) as step,
    ):
        step.log_document({"b": 1, "a": 2}, "settings.json")
    parent, child = (client_of(workspace).get_run(run.run_id) for run in (flow, step))
    assert child.data.tags["mlflow.parentRunId"] == flow.run_id
    assert child.data.tags["lm.key"] == "k1"
    assert parent.data.tags["lm.experiment"] == "tiny"
    assert child.data.params == {
        "model.width": "8",
        "model.tied": "True",
        "sizes": "[1, 2]",
        "parts.0.type": "length",
    }
    (data,) = child.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("books", BOOKS.digest[:32])
    assert json.loads(data.dataset.source) == {"path": BOOKS.path, "digest": BOOKS.digest}
    assert {tag.key: tag.value for tag in data.tags} == {"mlflow.data.context": "training"}
    assert (parent.info.status, child.info.status) == ("FINISHED", "FINISHED")
    assert (step.artifacts / "settings.json").read_text() == '{\n  "a": 2,\n  "b": 1\n}\n'
    assert step.artifacts.is_relative_to(workspace / "mlartifacts")


def test_a_dataset_source_reads_back_through_mlflow(workspace: Path) -> None:
    from mlflow.data import get_source

    with start(workspace) as flow, flow.step("train", "k1", inputs=[BOOKS, BOOKS]) as step:
        (data,) = client_of(workspace).get_run(step.run_id).inputs.dataset_inputs
    assert get_source(data.dataset).load() == BOOKS.path


def test_metrics_of_parallel_steps_all_arrive(workspace: Path) -> None:
    flow = start(workspace)

    def train(name: str) -> str:
        with flow.step(name, name) as step:
            for first in range(0, 2_100, 1_050):  # more than MLflow takes at once
                rows = [
                    {"name": "loss", "value": 1 / (n + 1), "step": n} for n in range(first, first + 1_050)
                ]
                step.log_metrics(rows)
        return step.run_id

    with ThreadPoolExecutor(4) as pool:
        run_ids = list(pool.map(train, "abcd"))
    flow.finish()
    for run_id in run_ids:
        history = client_of(workspace).get_metric_history(run_id, "loss")
        assert sorted((point.step, point.value) for point in history) == [
            (n, 1 / (n + 1)) for n in range(2_100)
        ]


def test_parallel_steps_that_read_the_same_new_data_all_begin(workspace: Path) -> None:
    with start(workspace) as flow_run, ThreadPoolExecutor(6) as pool:
        for round_ in range(8):
            same = [Dataset("corpus", f"{round_:064}", "data/corpora/corpus")]
            steps = pool.map(
                lambda number, same=same: flow_run.step(f"step {number}", "key", {}, same), range(6)
            )
            for step in steps:
                step.finish()


def test_a_diverged_loss_is_logged_as_it_is(workspace: Path) -> None:
    with start(workspace) as flow:
        flow.log_metrics(
            [{"name": "loss", "value": math.nan, "step": 1}, {"name": "norm", "value": math.inf}]
        )
    assert math.isnan(client_of(workspace).get_run(flow.run_id).data.metrics["loss"])


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("no text"), "FAILED"), (KeyboardInterrupt(), "KILLED"), (SystemExit(), "KILLED")],
)
def test_a_run_that_ends_badly_says_so(workspace: Path, error: BaseException, status: str) -> None:
    flow = start(workspace)
    with pytest.raises(type(error)), flow, flow.step("train", "k1") as step:
        raise error
    assert (status_of(workspace, step.run_id), status_of(workspace, flow.run_id)) == (status, status)
    told = client_of(workspace).get_run(step.run_id).data.tags["lm.error"]
    assert told.startswith(type(error).__name__)


def test_the_flow_describes_its_steps_and_links_what_it_reused(workspace: Path) -> None:
    with start(workspace) as first, first.step("tokenizer", "k1") as made:
        pass
    with start(workspace) as flow, flow.step("train", "k2") as step:
        flow.link_reused("tokenizer", "k1", made.run_id)
        flow.link_reused("shards", "k3", None)
    tags = client_of(workspace).get_run(flow.run_id).data.tags
    assert (tags["lm.reused.tokenizer"], tags["lm.reused.shards"]) == (made.run_id, "unknown")
    rows = tags["mlflow.note.content"].splitlines()[2:]
    assert [row.split(" | ")[0:2] for row in rows] == [
        ["| train", "run"],
        ["| tokenizer", "reused"],
        ["| shards", "reused"],
    ]
    assert f"/runs/{made.run_id})" in rows[1]
    assert f"/runs/{step.run_id})" in rows[0]


def test_an_experiment_in_the_bin_is_taken_out_again(workspace: Path) -> None:
    with start(workspace) as flow:
        pass
    client_of(workspace).delete_experiment(flow.experiment_id)
    with start(workspace) as again:
        assert again.experiment_id == flow.experiment_id


# Ends


def test_after_a_kill_no_run_stays_running(workspace: Path) -> None:
    script = (
        "import sys, os, pathlib; from tasks.tracking import FlowRun; w = pathlib.Path(sys.argv[1]);"
        "f = FlowRun(w, 'pretrain', 'tiny', 'dead').start(); s = f.step('train', 'k1');"
        "m = s.start_model('tiny'); s.log_metrics([{'name': 'loss', 'value': 1, 'step': 1}]);"
        "print(f.run_id, s.run_id, m, flush=True); os.kill(os.getpid(), 9)"
    )
    alive = start(workspace)
    process = python(script, workspace)
    flow, step, model = process.communicate()[0].split()
    assert process.returncode == -signal.SIGKILL
    assert status_of(workspace, step) == "RUNNING"
    assert close_orphans(workspace) == sorted([flow, step])
    assert (status_of(workspace, flow), status_of(workspace, step)) == ("KILLED", "KILLED")
    (loss,) = client_of(workspace).get_metric_history(step, "loss")
    assert client_of(workspace).get_run(step).info.end_time == loss.timestamp  # its last sign of life
    assert str(client_of(workspace).get_logged_model(model).status) == "FAILED"
    assert status_of(workspace, alive.run_id) == "RUNNING"
    assert close_orphans(workspace) == []
    alive.finish()


def test_a_used_again_pid_and_an_earlier_boot_are_orphans_another_host_is_not(workspace: Path) -> None:
    again = start(workspace, **{"lm.process_start": "1"})
    booted = start(workspace, **{"lm.boot_id": "of last week"})
    foreign = start(workspace, **{"lm.host": "another", "lm.pid": "1"})
    assert identity()["lm.host"] == socket.gethostname()
    assert close_orphans(workspace) == sorted([again.run_id, booted.run_id])
    assert status_of(workspace, foreign.run_id) == "RUNNING"


# Models


def test_a_model_in_training_carries_its_last_values_and_its_evaluation(workspace: Path) -> None:
    with start(workspace) as flow:
        with flow.step("train", "k1", inputs=[BOOKS]) as step:
            model = step.start_model("tiny: v0.1", {"model": {"width": 8}})
            for n in range(3):
                step.log_metrics([{"name": "loss", "value": 3 - n, "step": n}], model_id=model, dataset=BOOKS)
            step.finish_model(model, key="k1", digest="d1", path="models/pretrain-1", last_step=2)
        with flow.step("evaluate", "k2", inputs=[TEST]) as evaluation:
            assert find_model(workspace, "k1") == model
            evaluation.use_model(model)
            evaluation.log_metrics([{"name": "bits_per_byte", "value": 1.5}], model_id=model, dataset=TEST)
    found = client_of(workspace).get_logged_model(model)
    assert (found.name, str(found.status), found.source_run_id) == ("tiny- v0-1", "READY", step.run_id)
    assert [(m.key, m.step, m.value, m.dataset_digest) for m in found.metrics] == [
        ("loss", 2, 1.0, BOOKS.digest[:32]),
        ("bits_per_byte", 0, 1.5, TEST.digest[:32]),
    ]
    assert len(client_of(workspace).get_metric_history(step.run_id, "loss")) == 3
    (output,) = client_of(workspace).get_run(step.run_id).outputs.model_outputs
    assert (output.model_id, output.step) == (model, 2)


def test_a_failed_training_leaves_a_failed_model(workspace: Path) -> None:
    with start(workspace) as flow, flow.step("train", "k1") as step:
        model = step.start_model("tiny")
        step.finish_model(model, key="k1", digest="", path="", failed=True)
    assert str(client_of(workspace).get_logged_model(model).status) == "FAILED"
    assert find_model(workspace, "k1") is None


def test_a_registered_model_answers_from_anywhere_also_after_a_move(
    workspace: Path, tiny_model: Path, tmp_path: Path
) -> None:
    made = register_tiny(workspace, tiny_model, example_prompt="the cat")
    moved = workspace.rename(tmp_path / "moved")
    assert find_copy(moved, "key-of-d1") == moved / made.folder.relative_to(workspace)
    open_store(moved)
    script = (
        "import json, mlflow; m = mlflow.pyfunc.load_model('models:/tiny@champion');"
        "ask = lambda prompts, **p: m.predict(prompts, params={'max_new_tokens': 12, **p});"
        "print(json.dumps([ask(['the cat']), ask(['the cat', 'dog']), ask('the cat'), ask(['']),"
        "ask(['dog'], temperature=1.0, seed=1), ask(['dog'], temperature=1.0, seed=1, top_k=1),"
        "m.input_example[0]]))"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # As a user's process: MLflow's own imports warn where warnings are errors.
    process = python(script, cwd=elsewhere, warn="default", MLFLOW_TRACKING_URI=tracking_uri(moved))
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    one, two, plain, empty, drawn, greedy, example = json.loads(out)
    assert one == plain == [two[0]] == [_continued(tiny_model, "the cat")]
    assert greedy == [two[1]] == [_continued(tiny_model, "dog")]
    assert drawn != greedy
    assert len(empty) == 1
    assert example == "the cat"
    assert list(elsewhere.iterdir()) == []


def _continued(model_folder: Path, prompt: str) -> str:
    """What `transformers` continues greedily, which shares no code with our decoder."""
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(model_folder)
    model: Any = AutoModelForCausalLM.from_pretrained(model_folder)
    start = [tokenizer.eos_token_id, *tokenizer.encode(prompt, add_special_tokens=False)]
    ids = model.generate(torch.tensor([start]), max_new_tokens=12, do_sample=False, pad_token_id=0)[0]
    return str(
        tokenizer.decode(ids[len(start) :], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    )


def test_a_registered_model_holds_the_product_its_code_and_no_pickle(
    workspace: Path, tiny_model: Path
) -> None:
    made = register_tiny(workspace, tiny_model)
    names = {file.relative_to(made.folder).as_posix() for file in made.folder.rglob("*")}
    assert names == {file.name for file in tiny_model.iterdir()}
    assert (made.folder / "model.safetensors").read_bytes() == (tiny_model / "model.safetensors").read_bytes()
    home = made.folder.parents[1]
    assert (home / "code/lmcore/generate/decode.py").is_file()
    assert not [file for file in home.rglob("*") if file.suffix in (".pkl", ".pickle", ".bin", ".pt")]


def test_our_view_of_the_registry_is_mlflows(workspace: Path, tiny_model: Path) -> None:
    with start(workspace) as flow, flow.step("train", "k1") as step:
        model = step.start_model("tiny")
        step.finish_model(model, key="key-of-d1", digest="d1", path="models/pretrain-1")
    made = register_tiny(
        workspace,
        tiny_model,
        run_id=step.run_id,
        metrics={"test/bits_per_byte": 1.5},
        tags={"lm.report": "r"},
    )
    theirs = client_of(workspace).get_model_version_by_alias("tiny", "champion")
    assert (made.version, made.run_id, made.tags) == (int(theirs.version), theirs.run_id, theirs.tags)
    assert made.tags.items() >= {"test/bits_per_byte": "1.5", "lm.report": "r", "lm.digest": "d1"}.items()
    assert theirs.source == f"models:/{model}" == f"models:/{made.model_id}"
    logged = client_of(workspace).get_logged_model(model)
    assert made.folder.is_relative_to(logged.artifact_location)
    assert [metric.key for metric in logged.metrics] == ["test/bits_per_byte"]
    assert made == registered(workspace, "tiny", "champion") == registered(workspace, "tiny", "v1")
    assert made == registered(workspace, "tiny", 1) == versions(workspace)[0]
    client_of(workspace).delete_model_version("tiny", "1")
    assert versions(workspace) == []


def test_the_same_product_is_one_version_and_its_lost_copy_and_alias_are_repaired(
    workspace: Path, tiny_model: Path
) -> None:
    made = register_tiny(workspace, tiny_model)
    assert register_tiny(workspace, tiny_model) == made
    shutil.rmtree(made.folder)
    client_of(workspace).delete_registered_model_alias("tiny", "champion")
    assert find_copy(workspace, "key-of-d1") is None
    again = register_tiny(workspace, tiny_model)
    assert (again.version, again.model_id, again.aliases) == (1, made.model_id, ("champion",))
    assert find_copy(workspace, "key-of-d1") == made.folder
    assert (made.folder / "model.safetensors").is_file()


def test_a_new_champion_makes_the_old_one_previous_and_back(workspace: Path, tiny_model: Path) -> None:
    first = register_tiny(workspace, tiny_model)
    second = register_tiny(workspace, tiny_model, "d2", alias=None)
    assert (second.version, second.aliases) == (2, ())
    register_tiny(workspace, tiny_model, "d2")
    assert [version.aliases for version in versions(workspace, "tiny")] == [("previous",), ("champion",)]
    assert set_alias(workspace, "tiny", "champion", first.version).aliases == ("champion",)
    with pytest.raises(TrackingError, match="no version 7; registered: v1, v2"):
        set_alias(workspace, "tiny", "champion", 7)


def test_a_registry_that_lost_its_database_gives_each_product_its_number_and_aliases_back(
    workspace: Path, tiny_model: Path, fresh_store: Path
) -> None:
    for digest in ("d1", "d2"):
        register_tiny(workspace, tiny_model, digest, alias="challenger")
    promote(workspace, "tiny", 2, expected_champion=1, why="better")
    for file in workspace.glob("mlflow.db*"):
        file.unlink()
    shutil.copyfile(fresh_store, workspace / "mlflow.db")
    lines = Journal(workspace, "tiny").entries()
    new = register_tiny(workspace, tiny_model, "d3", alias=None)
    assert (new.version, new.aliases) == (3, ()), "its number is not that of another one"
    again = register_tiny(workspace, tiny_model, "d2", alias=None)
    assert (again.version, again.aliases) == (2, ("champion",))
    theirs = client_of(workspace).get_model_version_by_alias("tiny", "champion")
    assert (int(theirs.version), theirs.tags["lm.digest"]) == (2, "d2")
    assert theirs.source == f"models:/{again.model_id}"
    assert Journal(workspace, "tiny").entries() == lines
    # A number that only the product remembers counts if nobody else has it.
    assert register_tiny(workspace, tiny_model, "d9", alias=None, number=9).version == 9
    assert register_tiny(workspace, tiny_model, "d0", alias=None, number=1).version == 10


def test_a_product_may_outlive_the_store_that_its_run_was_in(workspace: Path, tiny_model: Path) -> None:
    assert register_tiny(workspace, tiny_model, run_id="0" * 32, metrics={"loss": 1.0}).run_id is None


def test_what_cannot_be_registered_is_refused_before_anything_is_written(
    workspace: Path, tiny_model: Path
) -> None:
    with pytest.raises(TrackingError, match=r"no finished model: it has no config\.json, model\.safetensors"):
        register_tiny(workspace, workspace)
    with pytest.raises(TrackingError, match="without '/' and ':'"):
        register_tiny(workspace, tiny_model, name="a/b")
    for alias in ("latest", "v1", "two words", ""):
        with pytest.raises(TrackingError, match="cannot be an alias"):
            register_tiny(workspace, tiny_model, alias=alias)
    assert not (workspace / "mlartifacts").exists()


# Names and pictures


@given(st.text())
def test_any_name_becomes_one_that_mlflow_takes(name: str) -> None:
    from mlflow.utils import validation

    mlflow_says: Any = validation
    legal = legal_name(name)
    mlflow_says._validate_metric_name(legal)
    mlflow_says._validate_param_name(legal)
    mlflow_says._validate_tag_name(legal)
    assert legal_name(legal) == legal


def test_names_that_are_legal_stay_as_they_are() -> None:
    assert legal_name("test/bits_per_byte @ 4") == "test/bits_per_byte _ 4"
    assert flatten({"a": {}, "b": None, "c": {"d": "x"}}) == {"a": "{}", "b": "None", "c.d": "x"}


def test_the_loss_curve_shows_the_files_numbers(tmp_path: Path, workspace: Path) -> None:
    lines = [{"step": 0, "loss": 3.0, "learning_rate": 0.1}, {"step": 5, "loss": 2.0, "validation_loss": 2.5}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    figure: Any = loss_curve(tmp_path / "metrics.jsonl")
    training, validation = figure.axes[0].get_lines()
    assert training.get_xydata().tolist() == [[0, 3], [5, 2]]
    assert validation.get_xydata().tolist() == [[5, 2.5]]
    with start(workspace) as flow:
        flow.log_figure(figure, "loss.png")
    assert (flow.artifacts / "loss.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(ValueError, match=r"metrics\.jsonl holds no 'loss'"):
        loss_curve(tmp_path / "metrics.jsonl")


def test_the_scores_chart_has_a_bar_for_model_and_baseline_of_each_source(tmp_path: Path) -> None:
    def group(value: float, low: float | None = None) -> dict[str, Any]:
        bits = {"value": value, "low": low, "high": low and value + 0.1}
        return {"model": {"bits_per_byte": bits}, "unigram": {"bits_per_byte": {"value": 4.0}}}

    file = tmp_path / "scores.json"
    file.write_text(json.dumps({**group(1.5, 1.4), "sources": {"tales": group(1.25)}}))
    figure: Any = scores_chart(file)
    assert [bar.get_width() for bar in figure.axes[0].patches] == [1.5, 4.0, 1.25, 4.0]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["all", "tales"]
    file.write_text("{}")
    with pytest.raises(ValueError, match=r"holds no model\.bits_per_byte"):
        scores_chart(file)


def test_a_model_that_answers_questions_is_asked_in_the_chat_format(workspace: Path, tiny_model: Path):
    import mlflow

    from lmcore.chat.template import END, begin_answer
    from lmcore.generate.decode import generate
    from lmcore.interop.hugging_face import load_folder
    from lmcore.tokenizers.tokenizer import Tokenizer

    made = register_tiny(workspace, tiny_model, example_prompt="the cat", is_chat=True)
    loaded = mlflow.pyfunc.load_model(str(made.folder.parents[1]))
    tokenizer, model = Tokenizer.load(tiny_model), load_folder(tiny_model)
    stops = (tokenizer.eos_id, tokenizer.control_id(END))
    wanted = tokenizer.decode(generate(model, begin_answer("the cat", tokenizer), 8, stop_ids=stops))
    assert loaded.predict(["the cat"], params={"max_new_tokens": 8}) == [wanted]
    assert loaded.predict(["the cat"], params={"max_new_tokens": 8, "chat": False}) != [wanted]
