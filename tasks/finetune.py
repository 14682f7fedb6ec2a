"""Conversations turn a base model into one that answers, in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lmcore.finetune.settings import FinetuneConfig
from lmcore.lineage import Facts
from lmcore.runtime import usable_cores
from tasks.artifacts import Checkpoint, Conversations
from tasks.engine.step import Build, Forecast, step
from tasks.pretrain import NOMINAL_FLOPS, Watch
from tasks.replay import replay_training
from tasks.subprocesses import run_and_follow

ENTRY = "lmcore.finetune.supervised:finetune"
"""What the subprocess runs; the code fingerprint starts there too."""

BYTES_PER_TOKEN = 3.0
"""Of the JSON lines that conversations are kept in."""
TRAIN_SHARE = 0.7


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    parameters = arguments["base"].size / 4
    settings: FinetuneConfig = arguments["settings"]
    tokens = settings.epochs * TRAIN_SHARE * arguments["conversations"].size / BYTES_PER_TOKEN
    seconds = 5 + 6 * parameters * tokens / NOMINAL_FLOPS
    return Forecast(seconds, memory=4e8 + 24 * parameters, disk=4.5 * parameters)


@step(
    makes=Checkpoint,
    forecast=_forecast,
    resumable=True,
    cores=lambda _: usable_cores(),
    replay=replay_training,
)
def finetune_model(
    build: Build, base: Checkpoint, conversations: Conversations, settings: FinetuneConfig, *, name: str
) -> Facts:
    """Learn the answers of conversations, by all weights or by LoRA; a killed run goes on bit for bit."""
    request = {
        "base": str(build.path(base)),
        "conversations": str(build.path(conversations)),
        "settings": settings.model_dump(mode="json"),
        "out": str(build.folder),
        "threads": build.cores,
    }
    with (build.path(conversations) / "train.jsonl").open("rb") as lines:
        steps = settings.schedule(sum(1 for _ in lines)).steps
    run_and_follow("lmcore.finetune", request, build.folder, Watch(build, steps), build.stop_after)
    if build.stop_after:
        return {}
    facts: dict[str, Any] = json.loads((build.folder / "facts.json").read_text())
    return facts
