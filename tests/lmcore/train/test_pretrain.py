"""Whole runs in a process of their own, as tasks start them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lmcore.interop.hugging_face import load_folder
from lmcore.train.loop import Interrupted, TrainingError
from lmcore.train.pretrain import pretrain
from lmcore.train.settings import PretrainRequest

MODEL = {"width": 16, "num_layers": 2, "num_heads": 2, "context_tokens": 16, "hidden_width": 32}
TRAIN = {
    "steps": 12,
    "batch_size": 8,
    "micro_batch_size": 2,
    "warmup_steps": 2,
    "peak_learning_rate": 3e-3,
    "validate_every": 5,
    "validation_tokens": 320,
    "sample_prompts": ["bashi", ""],
    "sample_tokens": 5,
    "device": "cpu",
}
Files = dict[str, bytes]


@pytest.fixture
def request_at(small_shards: Path, small_tokenizer: Path) -> Any:
    """request_at(out, steps=20, threads=2): a request with some settings changed, wherever they belong."""

    def make(out: Path, **changes: Any) -> dict[str, Any]:
        own = {key: value for key, value in changes.items() if key in PretrainRequest.model_fields}
        train = TRAIN | {key: value for key, value in changes.items() if key not in own}
        paths = {"shards": str(small_shards), "tokenizer": str(small_tokenizer), "out": str(out)}
        return {"model": MODEL, "train": train, **paths, **own}

    return make


def start(request: dict[str, Any], **environment: str) -> "subprocess.Popen[str]":
    out = Path(request["out"])
    path = out.parent / f"{out.name}.json"
    path.write_text(json.dumps(request))
    command = [sys.executable, "-m", "lmcore.train", str(path)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})


def finish(request: dict[str, Any], code: int = 0, **environment: str) -> str:
    process = start(request, **environment)
    complaint = process.communicate(timeout=120)[1]
    assert process.returncode == code, complaint
    return complaint


def product(out: Path) -> Files:
    """All files but those that the clock wrote."""
    files = sorted(path for path in out.rglob("*") if path.is_file() and path.parent.name != "log")
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, small_shards: Path, small_tokenizer: Path) -> Files:
    """What an uninterrupted run on one thread writes."""
    out = tmp_path_factory.mktemp("whole") / "out"
    finish(
        {
            "model": MODEL,
            "train": TRAIN,
            "shards": str(small_shards),
            "tokenizer": str(small_tokenizer),
            "out": str(out),
        }
    )
    return product(out)


def test_a_run_leaves_a_model_folder_and_nothing_else(expected: Files):
    assert sorted(expected) == [
        "chat_template.jinja",
        "config.json",
        "facts.json",
        "generation_config.json",
        "metrics.jsonl",
        "model.safetensors",
        "samples.jsonl",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_metrics_and_samples_say_what_happened(expected: Files):
    rows = [json.loads(line) for line in expected["metrics.jsonl"].splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert [row["tokens"] for row in rows] == [128 * step for step in range(1, 13)]
    assert [row["step"] for row in rows if "validation_loss" in row] == [5, 10, 12]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[1]["learning_rate"] == pytest.approx(3e-3)
    facts = json.loads(expected["facts.json"])
    best = min((row for row in rows if "validation_loss" in row), key=lambda row: row["validation_loss"])
    assert (facts["best_step"], facts["validation_loss"]) == (best["step"], best["validation_loss"])
    samples = [json.loads(line) for line in expected["samples.jsonl"].splitlines()]
    assert [(sample["step"], sample["prompt"]) for sample in samples] == [
        (step, prompt) for step in (5, 10, 12) for prompt in ("bashi", "")
    ]


@pytest.mark.parametrize("threads", [2, 5])
def test_any_number_of_threads_gives_the_same_bytes(
    tmp_path: Path, request_at: Any, expected: Files, threads: int
):
    finish(request_at(tmp_path / "out", threads=threads), PYTHONHASHSEED="7", OMP_NUM_THREADS="2")
    assert product(tmp_path / "out") == expected


def test_killed_again_and_again_it_ends_in_the_same_bytes(tmp_path: Path, request_at: Any, expected: Files):
    request = request_at(tmp_path / "out", checkpoint_seconds=0, threads=2)
    metrics = tmp_path / "out" / "metrics.jsonl"
    for lines in (2, 6, 11):
        process = start(request)
        while process.poll() is None and (not metrics.exists() or metrics.read_bytes().count(b"\n") < lines):
            time.sleep(0.002)
        process.kill()
        process.communicate()
    finish(request)
    assert product(tmp_path / "out") == expected


@pytest.mark.parametrize("step", [1, 5, 7, 12])
def test_stopped_after_any_step_it_goes_on_to_the_same_bytes(
    tmp_path: Path, request_at: Any, expected: Files, step: int
):
    out = tmp_path / "out"
    if step < 12:
        with pytest.raises(Interrupted, match=f"stopped after step {step} of 12"):
            pretrain(PretrainRequest.model_validate(request_at(out, stop_after=step)))
        assert not (out / "facts.json").exists()
    pretrain(PretrainRequest.model_validate(request_at(out)))
    assert product(out) == expected


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path, request_at: Any, expected: Files):
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        pretrain(PretrainRequest.model_validate(request_at(out, stop_after=8, checkpoint_seconds=0)))
    newest = max((out / "resume").glob("step-*"))
    newest.write_bytes(newest.read_bytes()[:-1])
    pretrain(PretrainRequest.model_validate(request_at(out)))
    assert product(out) == expected


def test_a_term_signal_saves_the_state_and_exits_with_143(tmp_path: Path, request_at: Any):
    out = tmp_path / "out"
    process = start(request_at(out, steps=100_000, validate_every=100_000))
    while not (out / "metrics.jsonl").exists() or not (out / "metrics.jsonl").stat().st_size:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    complaint = process.communicate(timeout=60)[1]
    assert process.returncode == 143
    assert "its state is saved" in complaint
    assert list((out / "resume").glob("step-*"))


def test_a_finished_folder_is_left_as_it_is(tmp_path: Path, request_at: Any):
    request = PretrainRequest.model_validate(request_at(tmp_path / "out", steps=3))
    first = pretrain(request)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    (tmp_path / "out" / "resume").mkdir()  # as if killed between the last file and the removal
    assert pretrain(request) == first
    assert before == {
        path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()
    }
    assert not (tmp_path / "out" / "resume").exists()


def test_another_run_s_folder_is_refused(tmp_path: Path, request_at: Any):
    out = tmp_path / "out"
    with pytest.raises(Interrupted):
        pretrain(PretrainRequest.model_validate(request_at(out, stop_after=1)))
    with pytest.raises(ValueError, match="a run with other settings or data"):
        pretrain(PretrainRequest.model_validate(request_at(out, seed=1)))
    pretrain(PretrainRequest.model_validate(request_at(out)))
    with pytest.raises(ValueError, match="a model of other settings or data"):
        pretrain(PretrainRequest.model_validate(request_at(out, seed=1)))


def test_patience_stops_early_and_keeps_the_best(tmp_path: Path, request_at: Any):
    # A rate of nearly nothing after the first steps: looks differ by chance, so that soon none is the best.
    facts = pretrain(
        PretrainRequest.model_validate(
            request_at(tmp_path / "out", steps=200, validate_every=1, patience=2, peak_learning_rate=1.0)
        )
    )
    rows = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    losses = [row["validation_loss"] for row in rows]
    assert facts["steps"] == len(losses) < 200
    assert losses.index(min(losses)) + 1 == facts["best_step"] == len(losses) - 2


def test_the_best_weights_are_the_ones_saved(tmp_path: Path, request_at: Any, small_shards: Path):
    from lmcore.batching.token_shards import TokenShards
    from lmcore.train.batch import HeldOutWindows
    from lmcore.train.gradient import Lanes
    from lmcore.train.validation import Part, validate

    facts = pretrain(PretrainRequest.model_validate(request_at(tmp_path / "out", precision="fp32")))
    windows = TokenShards(small_shards).validation_windows(16, max_tokens=320)
    score = validate(load_folder(tmp_path / "out"), [Part(HeldOutWindows(windows, 2))], Lanes(1))
    assert score.loss == pytest.approx(float(facts["validation_loss"]), abs=1e-6)
    assert score.bits_per_byte == pytest.approx(float(facts["validation_bits_per_byte"]), abs=1e-6)


def test_progress_counts_the_steps(tmp_path: Path, request_at: Any):
    seen: list[tuple[int, int]] = []
    request = PretrainRequest.model_validate(request_at(tmp_path / "out", steps=3))
    pretrain(request, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(tmp_path: Path, request_at: Any):
    request = request_at(
        tmp_path / "out", steps=40, peak_learning_rate=1e30, warmup_steps=0, optimizer="adamw"
    )
    with pytest.raises(TrainingError, match=r"became (nan|inf) at step \d+ of 40; lower peak_learning_rate"):
        pretrain(PretrainRequest.model_validate(request))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"stepz": 3}, "unknown setting 'train.stepz'. Did you mean 'steps'?"),
        ({"threads": 0}, "'threads' is 0"),
        ({"shards": "/nowhere"}, "/nowhere has no index.json"),
        ({"model": MODEL | {"context_tokens": 100_000}}, "choose a smaller context_tokens"),
    ],
)
def test_a_user_s_mistake_is_told_in_one_line(
    tmp_path: Path, request_at: Any, changes: dict[str, Any], complaint: str
):
    told = finish(request_at(tmp_path / "out", **changes), code=2)
    assert complaint in told
    assert told.count("\n") == 1


def test_a_disk_that_takes_no_more_is_told_in_one_line_and_the_run_goes_on_when_there_is_room(
    tmp_path: Path, request_at: Any, expected: Files
):
    request = request_at(tmp_path / "out", checkpoint_seconds=0)
    path = tmp_path / "out.json"
    path.write_text(json.dumps(request))
    limited = f"ulimit -f 20; exec {sys.executable} -m lmcore.train {path}"  # files up to 20 KiB
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "make room on that disk" in done.stderr
    finish(request)
    assert product(tmp_path / "out") == expected


def test_a_request_that_is_not_there_is_told_in_one_line(tmp_path: Path):
    command = [sys.executable, "-m", "lmcore.train", str(tmp_path / "missing.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot read the request" in done.stderr
