"""Whether a paired difference over documents is below 0: a sign-flip test that expects worse to come.

If neither model is better, a document's difference is as likely to have the other sign. So change the signs
at random, many times over: the p-value is the share of changes whose sum is as low as the one that was seen
(Fisher 1935, The Design of Experiments, section 21). Drawn at random and with the real signs counted among
the draws, it is a valid p-value for any number of them (Phipson and Smyth 2010, equation 2).

What it assumes: documents are independent, and each difference is symmetric about 0. Sizes do not matter for
that, however different they are: a document keeps its own size under every change of sign. But differences of
two real models are not symmetric. One is a little better nearly everywhere, and loses it all on few long or
strange documents; where a test set holds too few of those, the sum is too low. At the small error that a
single look may spend this is no detail: with the plain test 5 to 27 of 100 simulated years promoted a model
that was no better, where 5 were promised (`bench/gate.py`).

No test of a mean is safe from what it has not seen (Bahadur and Savage 1956), so something must be assumed
about it. Here: that `ADVERSE` further documents, each as far off as the farthest one seen, would have been
worse for the challenger (as Agresti and Coull 1998 add failures to a proportion, for the same reason). They
are added to those seen before the signs change. That costs documents, and the more so where few are there.
What it does not cover: a kind of documents that are far off, of which the test set happened to get none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ADVERSE = 2
"""Documents that are thought of beside those seen. With two, the promised error held for nearly all pairs of
real models; with one, for most of them."""
BLOCK, CELLS = 4096, 4_000_000
"""Changes of sign drawn at a time, and signs in them at most."""
ENOUGH = 1000
"""As many changes of sign that are as extreme settle a p-value to 3 % (Besag and Clifford 1991)."""
MOST_TIMES = 1000
"""Where even so many times the documents would not tell, no number of them is named."""
POWER = 0.8
"""The probability with which the documents that are asked for would tell."""


def sign_flip(
    differences: NDArray[Any],
    weights: NDArray[Any],
    *,
    num_draws: int = 100_000,
    seed: int = 0,
    adverse: int = ADVERSE,
) -> float:
    """The p-value of "the differences sum to less than 0 on documents like these".

        p = (1 + #{draws: sum(s_i |x_i|) <= sum(x_i)}) / (1 + draws),  s_i = -1 or 1

    x are the differences and `adverse` times the largest |d_i - r w_i|, where r = sum(d) / sum(w): the
    farthest that a document lies from what all of them together say of one of its size.

    Args:
        differences: challenger less champion, one per document, (N,): below 0 the challenger is better.
        weights: what a document counts, such as its bytes, (N,); their sum is above 0 unless N is 0.
        num_draws: the p-value is at least 1 / (1 + num_draws).
        adverse: 0 for the plain test.

    Returns:
        1 where there is no document, or no difference at all.

    Raises:
        ValueError: unequal lengths, or a number that is not finite.
    """
    seen, sizes = _checked(differences, weights)
    if not np.any(seen):
        return 1.0
    expected = np.concatenate([seen, np.full(adverse, _farthest(seen, sizes))])
    return _share_as_low(expected / np.abs(expected).max(), num_draws, seed)


def documents_to_tell(differences: NDArray[Any], weights: NDArray[Any], error: float) -> int | None:
    """About how many documents would show, at that error and with probability `POWER`, what these suggest.

    The least n = k N for which the expected sum of the test, k D - a M, reaches

        z(1 - error) sqrt(k sum d^2 + a M^2) + z(POWER) sqrt(k sum (d - r w)^2)

    where D = sum d (below 0, turned round), M is the farthest document and a = `ADVERSE`: the normal
    approximation of both the changes of sign and the next documents, if those are like these.

    Returns:
        A number above N; None where the differences do not sum to less than 0, or hardly.

    Raises:
        ValueError: unequal lengths, or a number that is not finite.
    """
    seen, sizes = _checked(differences, weights)
    lead = -float(seen.sum())
    if lead <= 0:
        return None
    z_error, z_power = (NormalDist().inv_cdf(share) for share in (1 - error, POWER))
    farthest, squares = _farthest(seen, sizes), float(np.square(seen).sum())
    noise = float(np.square(_residuals(seen, sizes)).sum())

    def tells(documents: int) -> bool:
        times = documents / len(seen)
        flips = math.sqrt(times * squares + ADVERSE * farthest**2)
        return times * lead - ADVERSE * farthest >= z_error * flips + z_power * math.sqrt(times * noise)

    return _least(tells, len(seen) + 1, len(seen) * MOST_TIMES)


def _checked(differences: NDArray[Any], weights: NDArray[Any]) -> tuple[Floats, Floats]:
    seen, sizes = np.asarray(differences, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if seen.shape != sizes.shape or seen.ndim != 1:
        raise ValueError(
            f"expected a difference and a weight per document, got shapes {seen.shape} and {sizes.shape}"
        )
    if not (np.isfinite(seen).all() and np.isfinite(sizes).all()):
        raise ValueError("a document's difference or weight is not finite; leave no such document in")
    return seen, sizes


def _residuals(seen: Floats, sizes: Floats) -> Floats:
    return seen - sizes * (seen.sum() / sizes.sum())


def _farthest(seen: Floats, sizes: Floats) -> float:
    return float(np.abs(_residuals(seen, sizes)).max())


def _share_as_low(values: Floats, num_draws: int, seed: int) -> float:
    """Draws go on until enough of them are as low, at the end of a block, or all have been made."""
    # The legacy generator's stream is frozen for good; that of numpy's newer ones may change with a release.
    random = np.random.RandomState(seed % (1 << 32))
    sizes = np.abs(values)
    # A sum that differs by rounding alone is the same sum: the order of additions is the library's own.
    limit = values.sum() + 1e-9 * sizes.sum()
    drawn = as_low = 0
    while drawn < num_draws and as_low < ENOUGH:
        block = min(BLOCK, max(1, CELLS // len(values)), num_draws - drawn)
        bits = np.frombuffer(random.bytes(block * -(-len(values) // 8)), dtype=np.uint8).reshape(block, -1)
        is_plus = np.unpackbits(bits, axis=1)[:, : len(values)].astype(np.float64)  # (block, N)
        as_low += int(np.count_nonzero(2 * (is_plus @ sizes) - sizes.sum() <= limit))
        drawn += block
    return (1 + as_low) / (1 + drawn)


def _least(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """The least number from low to high for which it holds; None if it does for none."""
    if not holds(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
