"""The learning rate of every step."""

from __future__ import annotations

import math
from typing import NamedTuple


class Schedule(NamedTuple):
    """A straight line up to the peak, then a cosine down to a share of it (Loshchilov & Hutter 2017)."""

    steps: int
    warmup_steps: int
    peak_rate: float
    last_share: float

    def rate(self, step: int) -> float:
        """The rate of a step counted from 0.

        The first step takes peak_rate / warmup_steps, step warmup_steps - 1 the peak, the last its share.
        """
        if step < self.warmup_steps:
            return self.peak_rate * (step + 1) / self.warmup_steps
        top = max(self.warmup_steps - 1, 0)
        progress = min(1.0, (step - top) / max(1, self.steps - 1 - top))
        share = self.last_share
        return self.peak_rate * (share + (1 - share) * (1 + math.cos(math.pi * progress)) / 2)
