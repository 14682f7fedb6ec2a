"""The baseline that every model must beat: how often a token occurs, whatever stands before it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Unigram:
    """Each token has its share of the training text, with `added` to every count (Laplace).

    Every id of the vocabulary has a probability above 0, and together they sum to 1.
    """

    def __init__(self, counts: NDArray[Any], added: float = 1.0) -> None:
        """From how often each id occurs in training, (V,).

        Raises:
            ValueError: a count is negative, or all are 0 and nothing is added.
        """
        smoothed = np.asarray(counts, dtype=np.float64) + added
        if smoothed.ndim != 1 or not len(smoothed) or smoothed.min() < 0 or smoothed.sum() <= 0:
            raise ValueError("a unigram model needs one count per id, none negative, and a sum above 0")
        with np.errstate(divide="ignore"):
            self.log_probabilities = np.log(smoothed) - np.log(smoothed.sum())
            """Natural logarithms, (V,)."""

    @property
    def vocab_size(self) -> int:
        """Ids run from 0 to one less than this."""
        return len(self.log_probabilities)

    def nats(self, tokens: NDArray[Any]) -> NDArray[np.float64]:
        """The surprise of each token, of the same shape as the tokens."""
        return np.asarray(-self.log_probabilities[tokens])
