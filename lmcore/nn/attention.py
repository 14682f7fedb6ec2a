"""Causal self-attention with grouped key-value heads (Vaswani et al. 2017; Ainslie et al. 2023)."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmcore.nn.kv_cache import KVCache
from lmcore.nn.rotary import rotate

MAX_EXPLICIT_TOKENS = 512
"""Up to here explicit scores beat torch's fused kernel in bfloat16 training on a CPU (bench/attention.py)."""


class CausalSelfAttention(nn.Module):
    """Each token gathers values from itself and earlier tokens, weighted by query-key match."""

    def __init__(self, width: int, num_heads: int, num_key_value_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.num_key_value_heads = num_key_value_heads
        self.head_width = width // num_heads
        key_value_width = num_key_value_heads * self.head_width
        self.to_query_key_value = nn.Linear(width, width + 2 * key_value_width, bias=False)
        self.to_out = nn.Linear(width, width, bias=False)

    def forward(
        self, x: Tensor, cosine: Tensor, sine: Tensor, cache: KVCache | None = None, layer: int = 0
    ) -> Tensor:
        """(B, T, D) -> (B, T, D); the rotary tables (T, K/2) are those of the tokens' positions."""
        B, T, D = x.shape
        H, G = self.num_heads, self.num_key_value_heads
        heads = self.to_query_key_value(x).view(B, T, H + 2 * G, self.head_width)
        turning, value = torch.split(heads, [H + G, G], dim=2)
        query, key = torch.split(rotate(turning, cosine, sine).transpose(1, 2), [H, G], dim=1)
        value = value.transpose(1, 2)  # (B, G, T, K), like key; query is (B, H, T, K)
        if cache is not None:
            key, value = cache.write(layer, key, value)  # each (B, G, S, K)
        mixed = attend(query, key, value)  # (B, H, T, K)
        out: Tensor = self.to_out(mixed.transpose(1, 2).reshape(B, T, D))
        return out


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention of the last T of S tokens: (B, H, T, K) with (B, G, S, K) -> (B, H, T, K).

    No mask is built where none is needed: whole texts use a causal kernel, one new token sees everything.
    """
    T, S = query.shape[2], key.shape[2]
    is_grouped = query.shape[1] != key.shape[1]
    if T == S and _is_explicit_faster(query):
        return attend_explicitly(query, key, value)
    if T == S or T == 1:
        return F.scaled_dot_product_attention(query, key, value, is_causal=T > 1, enable_gqa=is_grouped)
    visible = torch.ones(T, S, dtype=torch.bool, device=query.device).tril(diagonal=S - T)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=visible, enable_gqa=is_grouped)


def attend_explicitly(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal attention by its formula, with all scores in memory: (B, H, T, K) -> (B, H, T, K)."""
    B, H, T, K = query.shape
    key, value = (_repeat_heads(heads, H) for heads in (key, value))
    hidden = _hidden_scores(T, query.dtype)  # (T, T)
    scores = torch.baddbmm(hidden, query.flatten(0, 1), key.flatten(0, 1).mT, alpha=K**-0.5)
    mixed = torch.bmm(scores.softmax(dim=-1), value.flatten(0, 1))  # (B * H, T, K)
    return mixed.view(B, H, T, K)


def _is_explicit_faster(query: Tensor) -> bool:
    return (
        query.dtype == torch.bfloat16
        and query.device.type == "cpu"
        and 1 < query.shape[2] <= MAX_EXPLICIT_TOKENS
    )


def _repeat_heads(heads: Tensor, num_heads: int) -> Tensor:
    """(B, G, T, K) -> (B, H, T, K): each key-value head serves H / G neighbouring query heads."""
    times = num_heads // heads.shape[1]
    return heads if times == 1 else heads.repeat_interleave(times, dim=1)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # a table first made while validating must serve training, too
def _hidden_scores(num_tokens: int, dtype: torch.dtype) -> Tensor:
    """(T, T): 0 where a token may look, minus infinity at later tokens."""
    return torch.full((num_tokens, num_tokens), -torch.inf).triu(diagonal=1).to(dtype)
