"""Dropout (Srivastava et al. 2014) whose masks do not depend on threads, on resuming, on other draws."""

from __future__ import annotations

import copy
import hashlib
import threading
from typing import Any, Self

import torch
from torch import Tensor, nn


class SeededDropout:
    """Zeroes a share of the numbers and scales up the others, while gradients are wanted.

    The masks of a pass are a function of (seed, tokens, weights): the `watched` weight changes with every
    optimizer step, so the same tokens get other masks next time, while a resumed run repeats them. Every
    thread has a generator of its own, since passes run side by side.
    """

    def __init__(self, share: float, seed: int, watched: nn.Parameter) -> None:
        self.share = share
        self.seed = seed
        self.watched = watched
        self._pass = threading.local()

    def begin_pass(self, _: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        """A hook for the layer that reads the tokens, the first of every pass."""
        if torch.is_grad_enabled():
            digest = hashlib.sha256(str(self.seed).encode())
            for content in (arguments[0], self.watched):
                digest.update(content.detach().cpu().double().numpy().tobytes())
            seed = int.from_bytes(digest.digest()[:8], "little") >> 1  # a generator's seed has 63 bits
            self._pass.generator = torch.Generator(self.watched.device).manual_seed(seed)

    def __call__(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D); without gradients nothing is dropped."""
        if not torch.is_grad_enabled():
            return x
        kept = torch.empty_like(x).bernoulli_(1 - self.share, generator=self._pass.generator)
        return x * kept / (1 - self.share)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)(self.share, self.seed, copy.deepcopy(self.watched, memo))
