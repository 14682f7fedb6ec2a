"""How long two models take to write, measured in turn: what else the machine does slows both alike.

On a processor the thread's own seconds are counted, in which nobody else's work is; on a GPU the clock's.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

from lmcore.evaluate.perplexity import one_thread_per_pass
from lmcore.evaluate.settings import GateConfig
from lmcore.evaluate.slowdown import FILE
from lmcore.generate.decode import generate
from lmcore.models.transformer import Transformer


def measure_speed(champion: Transformer, challenger: Transformer, out: Path, settings: GateConfig) -> None:
    """Write `log/speed.json` into the folder `out`: of each round the seconds of champion and challenger.

    Each round both write the same number of tokens from nothing, whatever they say; who begins changes
    from round to round. A first round is not counted.
    """
    models = (champion, challenger)
    tokens = min(settings.sample_tokens, *(model.config.context_tokens - 1 for model in models))
    rounds = []
    with one_thread_per_pass():
        for number in range(settings.speed_rounds + 1):
            seconds = [0.0, 0.0]
            for place in (0, 1) if number % 2 else (1, 0):
                seconds[place] = _seconds(models[place], tokens)
            rounds.append(seconds)
    device = champion.embedding.weight.device.type
    clock = "seconds of the thread" if device == "cpu" else "seconds"
    told = {"device": device, "clock": clock, "tokens": tokens, "rounds": rounds[1:]}
    (out / FILE).parent.mkdir(parents=True, exist_ok=True)
    (out / FILE).write_text(json.dumps(told, sort_keys=True, indent=1) + "\n", encoding="utf-8")


def _seconds(model: Transformer, tokens: int) -> float:
    """How long the model takes to write so many tokens."""
    device = model.embedding.weight.device
    clock = time.thread_time if device.type == "cpu" else time.perf_counter
    began = clock()
    for _ in generate(model, [0], tokens):
        pass
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - began
