"""Keys and values of the tokens that a model has already read."""

from __future__ import annotations

import torch
from torch import Tensor


class KVCache:
    """Room for the keys and values of `max_tokens` tokens in every layer, filled from the left.

    Memory: 2 * num_layers * batch_size * G * max_tokens * K numbers. One cache serves one batch of texts:
    make a new one, or call `clear`, for the next.
    """

    def __init__(
        self,
        num_layers: int,
        batch_size: int,
        num_key_value_heads: int,
        max_tokens: int,
        head_width: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (num_layers, batch_size, num_key_value_heads, max_tokens, head_width)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)  # (L, B, G, S, K)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.num_tokens = 0

    @property
    def max_tokens(self) -> int:
        """The number of tokens that fit."""
        return self.keys.shape[3]

    def check_room(self, num_tokens: int) -> None:
        """Raise ValueError unless `num_tokens` more tokens fit."""
        if self.num_tokens + num_tokens > self.max_tokens:
            raise ValueError(
                f"{num_tokens} tokens do not fit behind {self.num_tokens} in a cache of {self.max_tokens}; "
                f"make the cache larger or start the text anew"
            )

    def write(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store one layer's new keys and values, each (B, G, T, K); all visible ones come back (B, G, S, K).

        The position moves on only with `advance`, when the last layer has written.
        """
        end = self.num_tokens + key.shape[2]
        self.keys[layer, :, :, self.num_tokens : end] = key
        self.values[layer, :, :, self.num_tokens : end] = value
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def advance(self, num_tokens: int) -> None:
        """Count the tokens that every layer has now written."""
        self.num_tokens += num_tokens

    def clear(self) -> None:
        """Forget the text; the room stays."""
        self.num_tokens = 0
