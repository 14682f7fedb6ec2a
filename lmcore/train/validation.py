"""A look at a model in training: its loss on held-out text, and what it writes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lmcore.batching.windows import ValidationWindows
from lmcore.generate.decode import generate
from lmcore.models.transformer import Transformer
from lmcore.tokenizers.tokenizer import Tokenizer
from lmcore.train.gradient import Lanes
from lmcore.train.settings import TrainConfig


@dataclass(frozen=True)
class Score:
    """How well held-out text was foreseen."""

    loss: float
    """Mean negative log-likelihood in nats per token."""

    bits_per_byte: float
    """The same text's cost in bits per UTF-8 byte, which does not depend on the tokenizer."""


def validate(model: Transformer, windows: ValidationWindows, micro_batch_size: int, lanes: Lanes) -> Score:
    """Score every window once; sums are over tokens, not means of batch means.

    It runs in the precision that the model computes with, on one thread a pass.
    """
    device = model.embedding.weight.device

    def nats(tokens: Tensor) -> float:
        with torch.inference_mode():
            return float(model.loss(tokens))

    batches = (torch.from_numpy(batch).to(device) for batch in windows.batches(micro_batch_size))
    total = math.fsum(lanes.map(nats, batches))
    return Score(total / windows.num_targets, total / (math.log(2) * windows.num_bytes))


def write_samples(model: Transformer, tokenizer: Tokenizer, config: TrainConfig) -> Iterator[dict[str, Any]]:
    """What the model makes of each prompt: `{"prompt": ..., "text": ...}`, text being the continuation."""
    for prompt in config.sample_prompts:
        ids = generate(
            model,
            tokenizer.encode(prompt) or [tokenizer.eos_id],
            config.sample_tokens,
            temperature=config.sample_temperature,
            seed=config.seed,
            stop_ids=[tokenizer.eos_id],
        )
        yield {"prompt": prompt, "text": tokenizer.decode(ids)}
