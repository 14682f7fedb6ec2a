"""How far apart the parents are, and what the merged model holds of each.

All of it comes from inner products of changes, added up over the weights: a change is what lies between the
base and a model; without a base it is the model itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmcore.merge.elementwise import stretches


@dataclass(frozen=True)
class Measures:
    """Sums over some weights, for N parents and behind them the merged model."""

    products: NDArray[np.float64]
    """Inner products of all changes, (N + 1, N + 1)."""
    opposed: int
    """Weights that two parents change in opposite directions."""
    number: int
    """Weights in all."""

    def __add__(self, other: Measures) -> Measures:
        return Measures(
            self.products + other.products, self.opposed + other.opposed, self.number + other.number
        )

    @property
    def is_finite(self) -> bool:
        """Whether no change is infinite or a NaN."""
        return bool(np.isfinite(self.products).all())

    def facts(self) -> dict[str, int | float]:
        """Parents count from 1.

        `coefficient_i`: how often the merged change holds parent i's change (least squares over all weights:
        exact for sums, an average for methods that choose). `norm_i`, `cosine_i_j`: length of a parent's
        change, and of two the cosine between. `opposed_share`: of all weights, those that two parents change
        in opposite directions.
        """
        num_parents = len(self.products) - 1
        changes, merged = self.products[:num_parents, :num_parents], self.products[:num_parents, num_parents]
        norms = np.sqrt(np.diag(changes))
        cosines = _scaled(changes, norms)
        coefficients = np.linalg.lstsq(cosines, _over(merged, norms), rcond=1e-10)[0].astype(np.float64)
        facts: dict[str, int | float] = {"parameters": self.number}
        facts |= {f"coefficient_{i + 1}": _short(c) for i, c in enumerate(_over(coefficients, norms))}
        facts |= {f"norm_{i + 1}": _short(norm) for i, norm in enumerate(norms)}
        for i in range(num_parents):
            for j in range(i + 1, num_parents):
                facts[f"cosine_{i + 1}_{j + 1}"] = _short(cosines[i, j])
        return {**facts, "opposed_share": _short(self.opposed / max(1, self.number))}


def measure(base: Tensor | None, parents: Sequence[Tensor], merged: Tensor) -> Measures:
    """The sums over one weight matrix."""
    num_parents = len(parents)
    products = torch.zeros(num_parents + 1, num_parents + 1, dtype=torch.float64)
    opposed = 0
    models = [*parents, merged]
    for stretch in stretches(*models, *([] if base is None else [base])):
        changes = torch.stack([model.double() for model in stretch[: len(models)]])  # (N + 1, C)
        if base is not None:
            changes -= stretch[-1]
        products.addmm_(changes, changes.T)
        signs = changes[:-1].sign()
        opposed += int((signs.amax(dim=0) * signs.amin(dim=0)).lt(0).sum())
    return Measures(products.numpy(), opposed, merged.numel())


def _scaled(products: NDArray[np.float64], norms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosines; 0 beside a parent that changes nothing."""
    return _over(_over(products, norms).T, norms).T


def _over(values: NDArray[np.float64], norms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row i over norm i; 0 where that is 0."""
    column = norms.reshape(-1, *[1] * (values.ndim - 1))
    return np.divide(values, column, out=np.zeros_like(values), where=column > 0)


def _short(value: float) -> float:
    """Six digits: more would be noise."""
    return float(f"{value:.6g}")
