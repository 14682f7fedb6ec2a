"""Whole finetunings: from a base's folder and conversations to a model that answers."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lmcore.finetune.settings import FinetuneConfig, FinetuneRequest
from lmcore.finetune.supervised import finetune
from lmcore.train.loop import Interrupted

SETTINGS = {
    "epochs": 3,
    "batch_size": 4,
    "pass_tokens": 40,
    "validate_every": 3,
    "sample_prompts": ["the"],
    "sample_tokens": 4,
    "device": "cpu",
}
ANSWERS = {
    "the lo": "bashi.",
    "nu": "ra ra in the zu",
    "ké and ké": "ké!",
    "ve to": "lo mi nu ra shi to ve zu",
    "shi": "",
    "mi mi mi": "and",
    "to": "the the\nthe",
    "ra lo": "<|im_end|> in letters",
}
Files = dict[str, bytes]


def write(path: Path, answers: dict[str, str]) -> None:
    rows = [
        {"id": str(number), "messages": [_message("user", question), _message("assistant", answer)]}
        for number, (question, answer) in enumerate(answers.items())
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, small_tokenizer: Path) -> Path:
    """A model that has learned nothing yet."""
    from lmcore.interop.hugging_face import save_folder
    from lmcore.models.settings import TransformerConfig
    from lmcore.models.transformer import Transformer
    from lmcore.tokenizers.tokenizer import Tokenizer

    folder = tmp_path_factory.mktemp("base")
    config = TransformerConfig(width=32, num_layers=2, num_heads=2, hidden_width=48, context_tokens=48)
    model = Transformer(config, Tokenizer.load(small_tokenizer).vocab_size, seed=1)
    save_folder(model, small_tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conversations")
    write(folder / "train.jsonl", {**ANSWERS, "long": "lo " * 60})
    write(folder / "validation.jsonl", {"lo": "the", "ra ra": "in the zu", "mi": "and", "the nu": "nu"})
    return folder


@pytest.fixture(scope="module")
def ask(base: Path, conversations: Path) -> Any:
    """ask(out, method="lora", threads=2): a request with some settings changed, wherever they belong."""

    def make(out: Path, **changes: Any) -> FinetuneRequest:
        own = {key: value for key, value in changes.items() if key in FinetuneRequest.model_fields}
        settings = SETTINGS | {key: value for key, value in changes.items() if key not in own}
        paths = {"base": base, "conversations": conversations, "out": out}
        return FinetuneRequest.model_validate({**paths, "settings": settings, **own})

    return make


def product(out: Path) -> Files:
    """All files but those that the clock wrote."""
    files = sorted(path for path in out.rglob("*") if path.is_file() and path.parent.name != "log")
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def rows(out: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module", params=["full", "lora"])
def whole(request: Any, tmp_path_factory: pytest.TempPathFactory, ask: Any) -> tuple[str, Path]:
    """What an uninterrupted run on one thread leaves, for each method."""
    out = tmp_path_factory.mktemp("whole") / "out"
    finetune(ask(out, method=request.param))
    return request.param, out


def test_it_leaves_a_model_folder_and_for_lora_an_adapter(whole: tuple[str, Path]):
    method, out = whole
    adapter = ["adapter/adapter_config.json", "adapter/adapter_model.safetensors"]
    assert sorted(product(out)) == (adapter if method == "lora" else []) + [
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


def test_steps_follow_from_epochs_and_facts_tell_what_was_learned_from(whole: tuple[str, Path]):
    method, out = whole
    facts = json.loads((out / "facts.json").read_text())
    assert facts["steps"] == 6  # 3 epochs of 8 conversations, 4 a step
    assert (facts["epochs"], facts["conversations"], facts["conversations_too_long"]) == (3, 8, 1)
    looks = {row["step"]: row["validation_loss"] for row in rows(out) if "validation_loss" in row}
    assert list(looks) == [0, 3, 6]
    assert facts["best_step"] == min(looks, key=lambda step: looks[step])
    assert facts["validation_loss"] == min(looks.values()) < looks[0]
    assert (facts["trained_parameters"] < facts["parameters"]) == (method == "lora")
    assert [row["step"] for row in rows(out, "samples.jsonl")] == [0, 3, 6]


def test_whoever_generates_with_the_folder_stops_at_the_end_marker(whole: tuple[str, Path]):
    from lmcore.tokenizers.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(whole[1])
    document = json.loads((whole[1] / "generation_config.json").read_text())
    assert document["eos_token_id"] == [tokenizer.eos_id, tokenizer.control_id("<|im_end|>")]


@pytest.mark.parametrize("step", [1, 3, 5])
def test_interrupted_and_on_other_threads_it_ends_in_the_same_bytes(
    tmp_path: Path, ask: Any, whole: tuple[str, Path], step: int
):
    method, expected = whole
    out = tmp_path / "out"
    with pytest.raises(Interrupted, match=f"stopped after step {step} of 6"):
        finetune(ask(out, method=method, stop_after=step, threads=3))
    finetune(ask(out, method=method, threads=2))
    assert product(out) == product(expected)


def test_the_working_state_of_lora_holds_what_is_trained_and_no_more(tmp_path: Path, ask: Any):
    with pytest.raises(Interrupted):
        finetune(ask(tmp_path, method="lora", stop_after=1))
    from safetensors import safe_open

    with safe_open(next((tmp_path / "resume").glob("step-*")), framework="pt") as file:
        weights = {name for name in file.keys() if name.startswith("model/")}  # noqa: SIM118
    assert weights
    assert all(name.rpartition(".")[2] in ("A", "B", "changes") for name in weights)


def test_the_base_s_folder_and_a_finished_folder_stay_as_they_are(
    ask: Any, whole: tuple[str, Path], base: Path
):
    method, out = whole
    before = [
        (path, path.stat().st_mtime_ns, path.read_bytes()) for path in (*base.iterdir(), *out.glob("*.*"))
    ]
    facts = finetune(ask(out, method=method))
    assert facts == json.loads((out / "facts.json").read_text())
    assert all((path.stat().st_mtime_ns, path.read_bytes()) == (when, data) for path, when, data in before)


def test_the_folder_s_weights_are_the_base_s_with_the_adapter_merged_in(whole: tuple[str, Path], base: Path):
    method, out = whole
    if method == "full":
        pytest.skip("there is no adapter")
    import torch

    from lmcore.finetune.adapters.lora import merged
    from lmcore.interop.hugging_face import load_folder
    from lmcore.interop.peft import load_adapter

    model = load_folder(base)
    load_adapter(model, out / "adapter")
    expected, found = merged(model).state_dict(), load_folder(out).state_dict()
    assert all(torch.allclose(found[name], expected[name], atol=1e-6) for name in expected)
    assert any(not torch.equal(tensor, load_folder(base).state_dict()[n]) for n, tensor in found.items())


def test_eight_conversations_are_learned_by_heart_up_to_the_end_marker(tmp_path: Path, ask: Any):
    for side in ("train", "validation"):
        write(tmp_path / "known" / f"{side}.jsonl", ANSWERS)
    changes = {"epochs": 60, "batch_size": 8, "pass_tokens": 200, "validate_every": 60, "sample_tokens": 30}
    request = ask(
        tmp_path / "out",
        conversations=tmp_path / "known",
        sample_prompts=list(ANSWERS),
        peak_learning_rate=0.01,
        **changes,
    )
    finetune(request)
    samples = rows(tmp_path / "out", "samples.jsonl")
    assert {row["prompt"]: row["text"] for row in samples if row["step"] == 60} == ANSWERS


def test_a_run_as_a_process_stops_at_a_signal_and_goes_on_to_the_same_bytes(
    tmp_path: Path, ask: Any, whole: tuple[str, Path]
):
    method, expected = whole
    if method == "full":
        pytest.skip("one method is enough")
    out, request = tmp_path / "out", tmp_path / "request.json"
    request.write_text(ask(out, method=method, checkpoint_seconds=0).model_dump_json())
    command = [sys.executable, "-m", "lmcore.finetune", str(request)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    metrics = out / "metrics.jsonl"
    while process.poll() is None and (not metrics.exists() or metrics.read_bytes().count(b"\n") < 3):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    complaint = process.communicate(timeout=60)[1]
    if process.returncode:  # else it was done before the signal came
        assert (process.returncode, "its state is saved" in complaint) == (143, True), complaint
        subprocess.run(command, check=True)
    assert product(out) == product(expected)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"settings": {"epoch": 3}}, "unknown setting 'settings.epoch'. Did you mean 'epochs'?"),
        ({"base": "/nowhere"}, "/nowhere has no tokenizer.json"),
        ({"conversations": "/nowhere"}, "/nowhere has no train.jsonl; expected a folder of conversations"),
    ],
)
def test_a_user_s_mistake_is_told_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], ask: Any, change: dict[str, Any], complaint: str
):
    from lmcore.train.process import run_process

    request = tmp_path / "request.json"
    request.write_text(json.dumps(json.loads(ask(tmp_path / "out").model_dump_json()) | change))
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGTERM, signal.SIGINT)}
    try:
        code = run_process([str(request)], FinetuneRequest, "lmcore.finetune.supervised:finetune")
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
    told = capfd.readouterr().err
    assert (code, told.count("\n")) == (2, 1)
    assert complaint in told


def test_another_base_or_other_conversations_make_another_run(tmp_path: Path, ask: Any):
    with pytest.raises(Interrupted):
        finetune(ask(tmp_path / "out", stop_after=1))
    other = tmp_path / "other"
    write(other / "train.jsonl", ANSWERS)
    write(other / "validation.jsonl", ANSWERS)
    with pytest.raises(ValueError, match="a run with other settings or data"):
        finetune(ask(tmp_path / "out", conversations=other))


def test_the_rate_of_each_method_is_its_own_unless_it_is_told():
    assert FinetuneConfig().peak_learning_rate < FinetuneConfig(method="lora").peak_learning_rate
    assert FinetuneConfig(method="lora", peak_learning_rate=0.1).peak_learning_rate == 0.1


@pytest.mark.parametrize(
    ("epochs", "steps", "warmup_steps"), [(2, 188, 9), (0.1, 9, 0), (0.001, 1, 0), (10, 938, 47)]
)
def test_epochs_become_steps(epochs: float, steps: int, warmup_steps: int):
    schedule = FinetuneConfig(epochs=epochs, batch_size=16, warmup_share=0.05).schedule(1500)
    assert (schedule.steps, schedule.warmup_steps) == (steps, warmup_steps)
