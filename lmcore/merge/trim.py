"""The largest changes of a tensor by size: exactly as many as asked for, found without sorting."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lmcore.merge.elementwise import stretches

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

SAMPLE = 1 << 15
"""Changes that are sorted to guess where the cut lies."""


class Trim:
    """Sets all but the largest changes to 0, stretch after stretch from the first to the last.

    Of n changes k = floor(density x n) stay, at least one. Where several are as large as the smallest that
    stays, the first of them stay. A trim goes over its tensor once.

    Raises:
        ValueError: the changes hold a NaN.
    """

    def __init__(self, base: Tensor, parent: Tensor, density: float) -> None:
        number = base.numel()
        # A product such as 0.29 x 100 lies a hair below the whole number that is meant.
        kept = max(1, math.floor(density * number * (1 + 1e-12)))
        self._keeps_all = kept >= number
        self._cut, self._last = (0.0, number) if self._keeps_all else _find_cut(base, parent, kept)
        self._done = 0

    def __call__(self, change: Tensor) -> Tensor:
        """A stretch of changes, (C,) float64, with 0 where one does not stay."""
        import torch
        from torch.nn.functional import hardshrink

        if self._keeps_all:
            return change
        early = max(0, min(len(change), self._last + 1 - self._done))
        self._done += len(change)
        # It keeps what is larger than its threshold: five times as fast as a mask.
        at_least = hardshrink(change[:early], math.nextafter(self._cut, 0))
        return torch.cat([at_least, hardshrink(change[early:], self._cut)])


def _find_cut(base: Tensor, parent: Tensor, kept: int) -> tuple[float, int]:
    """The size of the smallest change that stays, and the place of the last one of that size that does.

    A sorted sample gives two bounds that are all but certain to have the cut between them; one pass counts
    what lies above them and collects what lies between (Floyd and Rivest 1975). If they do not, everything
    is collected: the result is exact either way.
    """
    import numpy as np

    for low, high in (_guess(base, parent, kept), (0.0, math.inf)):
        above, between = 0, []
        for sizes in _sizes(base, parent):
            above += int(np.count_nonzero(sizes > high))
            between.append(sizes[(sizes >= low) & (sizes <= high)])
        middle = np.concatenate(between)
        place = kept - above  # of the cut in the middle, the largest being 1
        if 1 <= place <= len(middle):
            cut = np.partition(middle, len(middle) - place)[len(middle) - place]
            num_equal = place - int(np.count_nonzero(middle > cut))
            return float(cut), _place_of(float(cut), num_equal, base, parent)
    raise ValueError("a change is not a number: the weights hold a NaN")


def _place_of(cut: float, number: int, base: Tensor, parent: Tensor) -> int:
    """Where the change stands that is the number-th of that size."""
    import numpy as np

    begin = 0
    for sizes in _sizes(base, parent):
        places = np.flatnonzero(sizes == cut)
        if number <= len(places):
            return begin + int(places[number - 1])
        begin, number = begin + len(sizes), number - len(places)
    raise AssertionError("counted more than there are")


def _guess(base: Tensor, parent: Tensor, kept: int) -> tuple[float, float]:
    """Bounds around the cut, from a sample of every s-th change."""
    import numpy as np

    number = base.numel()
    step = math.ceil(number / SAMPLE)
    if step == 1:
        return 0.0, math.inf
    flat = (tensor.reshape(-1)[::step] for tensor in (base, parent))
    sample = np.sort(np.concatenate(list(_sizes(*flat))))  # rising
    # The cut's rank in a random sample has a standard deviation of at most half the root of its size.
    rank, margin = len(sample) * (1 - kept / number), 3 * math.sqrt(len(sample))
    low, high = math.floor(rank - margin), math.ceil(rank + margin)
    return (
        float(sample[low]) if low >= 0 else 0.0,
        float(sample[high]) if high < len(sample) else math.inf,
    )


def _sizes(base: Tensor, parent: Tensor) -> Iterator[NDArray[np.floating[Any]]]:
    """The sizes of the changes, stretch by stretch, in float64: exact for float32 weights of similar size."""
    for start, end in stretches(base, parent):
        yield (end.double() - start).abs_().numpy()
