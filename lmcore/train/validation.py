"""A look at a model in training: its loss on held-out text, and what it writes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from lmcore.generate.decode import generate
from lmcore.models.transformer import Transformer
from lmcore.tokenizers.tokenizer import Tokenizer
from lmcore.train.batch import HeldOut, Rows
from lmcore.train.gradient import Lanes


@dataclass(frozen=True)
class Score:
    """How well held-out text was foreseen."""

    loss: float
    """Mean negative log-likelihood in nats per counted token."""

    bits_per_byte: float
    """The same text's cost in bits per UTF-8 byte, which does not depend on the tokenizer."""


class Part(NamedTuple):
    """Held-out text and the share of the score that its tokens have; the shares of all parts sum to one."""

    text: HeldOut
    share: float = 1.0


def validate(model: Transformer, parts: Sequence[Part], lanes: Lanes) -> Score:
    """Score every part once; sums are over tokens, not means of batch means.

    It runs in the precision that the model computes with, on one thread a pass.
    """
    device = next(model.parameters()).device
    num_targets = sum(part.text.num_targets for part in parts)

    def nats(rows: Rows) -> float:
        with torch.inference_mode():
            return float(model.loss(*rows.to(device)))

    cost = size = 0.0
    for text, share in parts:
        weight = share * (num_targets / text.num_targets)  # exactly 1 for a part that stands alone
        cost += weight * math.fsum(lanes.map(nats, text.passes()))
        size += weight * text.num_bytes
    return Score(cost / num_targets, cost / (math.log(2) * size))


@dataclass(frozen=True)
class Samples:
    """Texts that a model continues at each look."""

    prompts: Sequence[tuple[str, Sequence[int]]]
    """As they are told, and as they are read."""
    tokenizer: Tokenizer
    stop_ids: Sequence[int]
    max_tokens: int
    temperature: float
    seed: int

    def write(self, model: Transformer) -> Iterator[dict[str, Any]]:
        """How the model goes on from each prompt: `{"prompt": ..., "text": ...}`."""
        for prompt, ids in self.prompts:
            new = generate(
                model,
                ids,
                self.max_tokens,
                temperature=self.temperature,
                seed=self.seed,
                stop_ids=self.stop_ids,
            )
            yield {"prompt": prompt, "text": self.tokenizer.decode(new)}
