"""Single trained rows of the embedding and of the output layer, for tokens that pretraining hardly saw.

What is trained is the change of a row, 0 at first, so that the first output is that of the frozen model, bit
for bit, and that a row which never occurs stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AdaptedEmbedding(nn.Module):
    """A frozen embedding, some of whose rows are trained; the matrix is never copied."""

    token_ids: Tensor
    row_of: Tensor

    def __init__(self, base: nn.Embedding, token_ids: Sequence[int]) -> None:
        super().__init__()
        self.base = base
        self.changes = _no_changes(base.weight, token_ids)  # (n, D)
        ids = torch.tensor(token_ids, device=base.weight.device)
        row_of = torch.full((base.num_embeddings,), len(token_ids), device=base.weight.device)
        self.register_buffer("token_ids", ids)
        self.register_buffer("row_of", row_of.index_copy(0, ids, torch.arange(len(ids), device=ids.device)))

    @property
    def weight(self) -> Tensor:
        """The frozen matrix (V, D), for its type and place; `merged_weight` is what is read."""
        return self.base.weight

    def merged_weight(self) -> Tensor:
        """The matrix with the trained rows, (V, D)."""
        return self.base.weight.index_add(0, self.token_ids, self.changes)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, D)."""
        unchanged = len(self.changes)
        changes = F.pad(self.changes, (0, 0, 0, 1))  # the last row, 0, is for all other tokens
        change = F.embedding(self.row_of[tokens], changes, padding_idx=unchanged)
        plain: Tensor = self.base(tokens)
        return plain + change


class AdaptedHead(nn.Module):
    """A frozen output layer, some of whose rows are trained, the embedding's own where it is tied."""

    token_ids: Tensor

    def __init__(self, base: nn.Linear, token_ids: Sequence[int], tied: AdaptedEmbedding | None) -> None:
        super().__init__()
        self.base = base
        self.changes = tied.changes if tied else _no_changes(base.weight, token_ids)  # (n, D)
        self.register_buffer("token_ids", torch.tensor(token_ids, device=base.weight.device))

    @property
    def weight(self) -> Tensor:
        """The matrix with the trained rows, (V, D), for the loss, which multiplies by it in pieces.

        It is a copy, one a pass: the price of a loss that knows nothing of adapters. Writing V D numbers is
        little beside the products with N targets, three times N V D.
        """
        return self.base.weight.index_add(0, self.token_ids, self.changes)

    def merged_weight(self) -> Tensor:
        """The matrix with the trained rows, (V, D)."""
        return self.weight

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V), without a copy of the matrix: decoding asks for one token at a time."""
        logits: Tensor = self.base(hidden)
        return logits.index_add_(-1, self.token_ids, F.linear(hidden, self.changes))


def _no_changes(weight: Tensor, token_ids: Sequence[int]) -> nn.Parameter:
    return nn.Parameter(weight.new_zeros(len(token_ids), weight.shape[1]))
