"""What a step learns from and what a look scores: rows of token ids, cut into passes.

The loop knows no more of its data than this: long texts, conversations and all else are learned alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from lmcore.batching.mixture import MixtureWindows
from lmcore.batching.windows import TrainingWindows, ValidationWindows


class Rows(NamedTuple):
    """Texts that one forward and backward pass reads side by side."""

    tokens: Tensor
    """(B, T + 1) int64: inputs are [:, :-1], targets [:, 1:]."""
    is_counted: Tensor | None = None
    """(B, T) bool: the targets that are learned or scored; None counts them all."""

    def to(self, device: torch.device) -> Rows:
        """The same rows on a device."""
        return Rows(self.tokens.to(device), None if self.is_counted is None else self.is_counted.to(device))


class Batch(NamedTuple):
    """What one optimizer step learns from."""

    passes: Sequence[Rows]
    num_tokens: int
    """Tokens that are read; what fills up short rows is none."""
    num_targets: int
    """Targets that count, of all passes together."""


class Training(Protocol):
    """What a run learns from: pure functions of the step, so that to resume needs nothing else."""

    def batch(self, step: int) -> Batch:
        """The batch of a step counted from 0."""


class HeldOut(Protocol):
    """What a look scores, every time the same."""

    @property
    def num_targets(self) -> int:
        """Targets that count."""

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes of the text that those targets spell."""

    def passes(self) -> Iterator[Rows]:
        """All of it, once."""


class WindowBatches:
    """Windows of long text, batch by batch."""

    def __init__(
        self, windows: TrainingWindows | MixtureWindows, batch_size: int, micro_batch_size: int
    ) -> None:
        self.windows = windows
        self.batch_size = batch_size
        self.micro_batch_size = micro_batch_size

    def batch(self, step: int) -> Batch:
        """The batch of a step counted from 0; every token but the first of a window counts."""
        tokens = torch.from_numpy(self.windows.batch(step, self.batch_size))  # (B, T + 1)
        num_targets = tokens[:, 1:].numel()
        passes = [Rows(rows) for rows in torch.split(tokens, self.micro_batch_size)]
        return Batch(passes, num_targets, num_targets)


class HeldOutWindows:
    """Windows of held-out text."""

    def __init__(self, windows: ValidationWindows, micro_batch_size: int) -> None:
        self.windows = windows
        self.micro_batch_size = micro_batch_size
        self.num_targets = windows.num_targets

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes of the text that is scored."""
        return self.windows.num_bytes

    def passes(self) -> Iterator[Rows]:
        """Every window once."""
        for tokens in self.windows.batches(self.micro_batch_size):
            yield Rows(torch.from_numpy(tokens))
