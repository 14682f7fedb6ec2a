"""The learning rate of every step."""

from __future__ import annotations

import math

from lmcore.train.settings import TrainConfig


def learning_rate(step: int, config: TrainConfig) -> float:
    """The rate of a step counted from 0: a straight line up to the peak, then a cosine down to its share.

    The first step takes peak / warmup_steps, step warmup_steps - 1 the peak, the last the smallest rate
    (Loshchilov & Hutter 2017).
    """
    if step < config.warmup_steps:
        return config.peak_learning_rate * (step + 1) / config.warmup_steps
    top = max(config.warmup_steps - 1, 0)
    progress = min(1.0, (step - top) / max(1, config.steps - 1 - top))
    share = config.min_learning_rate_share
    return config.peak_learning_rate * (share + (1 - share) * (1 + math.cos(math.pi * progress)) / 2)
