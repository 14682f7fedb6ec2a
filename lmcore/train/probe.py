"""How fast this machine trains a model: ten steps on made-up tokens, of which nothing is kept.

`python -m lmcore.train.probe REQUEST` takes a `ProbeRequest` as JSON and prints what it measured as JSON.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time

import torch

from lmcore.models.transformer import Transformer
from lmcore.train.batch import Batch, Rows
from lmcore.train.gradient import batch_gradient, open_lanes
from lmcore.train.optimizer import Optimizer, clip_gradients
from lmcore.train.precision import WorkingModel
from lmcore.train.settings import ProbeRequest


def probe(request: ProbeRequest) -> dict[str, float]:
    """Median seconds of an optimizer step after a first one to warm up, and peak memory in bytes."""
    config = request.train.resolved()
    model = Transformer(request.model, request.vocab_size, config.seed).to(config.device)
    working = WorkingModel(model, "fp32" if config.precision == "fp32" else "bf16")
    optimizer = Optimizer(model, config)
    size = (config.batch_size, request.model.context_tokens + 1)
    tokens = torch.randint(request.vocab_size, size)
    num_targets = tokens[:, 1:].numel()
    passes = [Rows(rows) for rows in torch.split(tokens, config.micro_batch_size)]
    batch = Batch(passes, num_targets, num_targets)
    seconds = []
    with open_lanes(request.threads if config.device == "cpu" else 1) as lanes:
        for _ in range(request.steps + 1):
            began = time.perf_counter()
            _, gradients = batch_gradient(working, batch, lanes)
            clip_gradients(gradients, config.clip_norm)
            optimizer.update(gradients, config.peak_learning_rate, lanes)
            working.refresh()
            seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds_per_step": statistics.median(seconds[1:]), "peak_memory": float(peak)}


if __name__ == "__main__":
    print(json.dumps(probe(ProbeRequest.model_validate_json(sys.argv[1]))))
