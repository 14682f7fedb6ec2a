"""Shards become a model, in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmcore.lineage import Facts
from lmcore.models.settings import TransformerConfig
from lmcore.train.settings import TrainConfig
from tasks.artifacts import Checkpoint, Shards, Tokenizer
from tasks.engine.step import Build, Forecast, step
from tasks.replay import replay_training
from tasks.subprocesses import Follower, run_and_follow
from tasks.words import mixture

ENTRY = "lmcore.train.pretrain:pretrain"
"""What the subprocess runs; the code fingerprint starts there too."""

NOMINAL_FLOPS = 1.8e11
"""Floating-point operations per second that training reaches on two plain cores."""


def nominal_forecast(model: TransformerConfig, train: TrainConfig) -> Forecast:
    """What training would take on two plain cores, with a vocabulary of 4,096."""
    parameters = model.num_parameters(4096)
    tokens = train.steps * train.batch_size * model.context_tokens
    attention = 12 * model.num_layers * model.width * model.context_tokens
    seconds = 5 + (6 * parameters + attention) * tokens / NOMINAL_FLOPS
    activations = train.micro_batch_size * model.context_tokens * 100 * model.width * model.num_layers
    return Forecast(seconds, memory=4e8 + 24 * parameters + activations, disk=4.4 * parameters)


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    return nominal_forecast(arguments["model"], arguments["train"])


def _lanes(arguments: Mapping[str, Any]) -> int:
    """Passes that can go on side by side."""
    train: TrainConfig = arguments["train"]
    return train.batch_size // train.micro_batch_size


@step(makes=Checkpoint, forecast=_forecast, resumable=True, cores=_lanes, replay=replay_training)
def pretrain_model(
    build: Build,
    shards: Shards,
    tokenizer: Tokenizer,
    model: TransformerConfig,
    train: TrainConfig,
    *,
    name: str,
) -> Facts:
    """Train from scratch, keep the best checkpoint by validation; a killed run goes on bit for bit."""
    request = {
        "model": model.model_dump(mode="json"),
        "train": train.model_dump(mode="json"),
        "shards": str(build.path(shards)),
        "tokenizer": str(build.path(tokenizer)),
    }
    return _train(build, request, train)


def _continued_forecast(arguments: Mapping[str, Any]) -> Forecast:
    parameters, train = arguments["base"].size / 4.4, arguments["train"]
    # The base's settings lie in its folder, which a plan may not have yet: a context of 256 is guessed.
    seconds = 5 + 6.5 * parameters * train.steps * train.batch_size * 256 / NOMINAL_FLOPS
    return Forecast(seconds, memory=4e8 + 60 * parameters, disk=4.4 * parameters)


@step(makes=Checkpoint, forecast=_continued_forecast, resumable=True, cores=_lanes, replay=replay_training)
def continue_training(
    build: Build, base: Checkpoint, shards: Shards, train: TrainConfig, *, name: str
) -> Facts:
    """Go on from a base's weights with a fresh optimizer, perhaps on another mixture of the sources."""
    request = {
        "base": str(build.path(base)),
        "train": train.model_dump(mode="json"),
        "shards": str(build.path(shards)),
        "tokenizer": str(build.path(base)),
    }
    return _train(build, request, train)


def _train(build: Build, request: Mapping[str, Any], train: TrainConfig) -> Facts:
    where = {"out": str(build.folder), "threads": build.cores}
    watch = Watch(build, train.steps)
    run_and_follow("lmcore.train", {**request, **where}, build.folder, watch, build.stop_after)
    if build.stop_after:
        return {}
    facts: dict[str, Any] = json.loads((build.folder / "facts.json").read_text())
    return facts


class Watch(Follower):
    """Turns what the trainer writes into a progress bar, sample lines and metrics."""

    files = ("log/mixture.jsonl", "metrics.jsonl", "log/timings.jsonl", "samples.jsonl")

    def __init__(self, build: Build, steps: int) -> None:
        self.build = build
        self.steps = steps
        self.latest: dict[str, Any] = {}
        self.shown_before = _last_step(build.folder / "samples.jsonl")
        if (build.folder / "resume").is_dir():
            build.say("unfinished work of an interrupted run is there; going on from its last checkpoint")

    def rows(self, file: str, rows: list[dict[str, Any]]) -> None:
        if file == "log/mixture.jsonl":
            self.build.say(f"it will see {mixture(rows[-1])}")
            return
        for row in rows:
            if file == "samples.jsonl" and row["step"] > self.shown_before:
                text = " / ".join(row["text"].split("\n"))
                self.build.say(f"step {row['step']}: {row['prompt']}|{text}")
            elif file != "samples.jsonl":
                self.latest.update(row)
        if file != "samples.jsonl":
            self.build.progress(self.latest.get("step", 0), self.steps, **_shown(self.latest))
            self.build.metrics([metric for row in rows for metric in _metrics(row)])


def _last_step(samples: Path) -> int:
    """The step of the last sample that an interrupted run has written; 0 if there is none."""
    try:
        return max((json.loads(line)["step"] for line in samples.read_text().splitlines()), default=0)
    except (OSError, ValueError):
        return 0


def _shown(latest: Mapping[str, Any]) -> dict[str, str]:
    shown = {}
    if "tokens_per_second" in latest:
        shown[""] = f"{latest['tokens_per_second']:,.0f} tokens/s"
    if "loss" in latest:
        shown["loss"] = f"{latest['loss']:.2f}"
    if latest.get("validation_bits_per_byte") is not None:
        shown["validation"] = f"{latest['validation_bits_per_byte']:.3f} bits/byte"
    return shown


def _metrics(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "value": value, "step": row["step"]}
        for name, value in row.items()
        if name != "step" and isinstance(value, int | float)
    ]
