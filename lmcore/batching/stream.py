"""A long row of token ids, wherever its parts lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int64]
Places = NDArray[np.int64]
Origin = Mapping[str, str | int | float]
"""What decides which tokens come when, by name: a place in one order means nothing in another."""


class Stream(Protocol):
    """A row of token ids, read in stretches."""

    num_tokens: int

    @property
    def origin(self) -> Origin:
        """Which tokens these are."""

    def gather(self, firsts: Places, lengths: Places) -> Tokens:
        """Stretches of `lengths` tokens from each of `firsts` on, one after the other, (sum of lengths,)."""


def cut(firsts: Places, lengths: Places, edges: Places) -> tuple[Places, Places, Places]:
    """Cut stretches wherever an edge lies inside one; edges are 0, ..., the number of tokens.

    Returns, of each piece in order, the part that it lies in, where in that part it begins, and its length.

    Raises:
        IndexError: the stream ends before a stretch does.
    """
    ends = firsts + lengths
    if len(firsts) and (firsts.min() < 0 or ends.max() > edges[-1]):
        raise IndexError(f"tokens {firsts.min()} to {ends.max()} of a stream of {edges[-1]}")
    inner = edges[1:-1]
    parts = np.searchsorted(inner, firsts, side="right")
    num_pieces = np.maximum(np.searchsorted(inner, ends) - parts, 0) + 1
    if num_pieces.max(initial=1) > 1:
        owners = np.repeat(np.arange(len(firsts)), num_pieces)
        before = np.repeat(np.cumsum(num_pieces) - num_pieces, num_pieces)
        parts = parts[owners] + np.arange(len(owners)) - before
        firsts = np.maximum(firsts[owners], edges[parts])
        lengths = np.minimum(ends[owners], edges[parts + 1]) - firsts
    return parts, firsts - edges[parts], lengths
