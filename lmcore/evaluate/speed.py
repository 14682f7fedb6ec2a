"""How long two models take to write, measured in turn: what else the machine does slows both alike.

On a processor the thread's own seconds are counted, in which nobody else's work is; on a GPU the clock's.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lmcore.evaluate.perplexity import one_thread_per_pass
from lmcore.evaluate.settings import GateConfig
from lmcore.generate.decode import generate
from lmcore.models.transformer import Transformer

FILE = Path("log") / "speed.json"
"""In the folder of a challenge, beside what every machine computes alike."""


class Slowdown(NamedTuple):
    """How much longer the challenger takes for a byte, as a share: 0.1 is a tenth longer, -0.1 shorter."""

    value: float
    low: float
    high: float


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


def read_slowdown(folder: Path, bytes_per_token: Sequence[float]) -> tuple[Slowdown, dict[str, Any]] | None:
    """The median slowdown per byte with its interval, and the bytes a second of both; None if never measured.

    The interval lies between two of the ordered rounds (of 25 the 8th and the 18th): the true median is
    between them with 95 % or more, whatever the distribution, since a round is above it as often as below.

    Args:
        bytes_per_token: of champion and challenger; their tokens may be of different length.
    """
    try:
        told = json.loads((folder / FILE).read_bytes())
        rounds = [[seconds / size for seconds, size in zip(each, bytes_per_token, strict=True)]
                  for each in told["rounds"]]  # fmt: skip
        slowdowns = sorted(ours / theirs - 1 for theirs, ours in rounds)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return None  # what the clock wrote may be lost or spoilt: then it is unknown
    if not slowdowns:
        return None
    rates = [told["tokens"] / _median([each[place] for each in rounds]) for place in (0, 1)]
    spare = _spare(len(slowdowns))
    slowdown = Slowdown(_median(slowdowns), slowdowns[spare], slowdowns[-1 - spare])
    numbers = {"champion_bytes_per_second": rates[0], "challenger_bytes_per_second": rates[1]}
    return slowdown, numbers | {"rounds": len(slowdowns), "device": told.get("device", "")}


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


def _median(values: Sequence[float]) -> float:
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _spare(number: int) -> int:
    """How many rounds lie outside of the interval on each side, so that it covers 95 % or more."""

    def outside(spare: int) -> float:
        return 2 * sum(math.comb(number, few) for few in range(spare + 1)) / 2**number

    return max((spare for spare in range(number // 2) if outside(spare) <= 0.05), default=0)
