"""Attention written out against torch's fused kernel, forward and backward, bfloat16 on one CPU thread.

    python bench/attention.py      prints a ratio for each number of tokens: above 1 the written one is faster

One process, the two in turn, medians: the ratio holds where the machine's speed drifts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from lmcore.nn.attention import attend_explicitly

SEQUENCES, HEADS, HEAD_WIDTH, ROUNDS = 4, 4, 48, 15


def fused(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, is_causal=True)


def seconds(attend: Callable[[Tensor, Tensor, Tensor], Tensor], heads: list[Tensor]) -> float:
    began = time.perf_counter()
    attend(*heads).sum().backward()
    return time.perf_counter() - began


def main() -> None:
    torch.set_num_threads(1)
    for tokens in (64, 128, 256, 512, 1024):
        shape = (SEQUENCES, HEADS, tokens, HEAD_WIDTH)
        heads = [torch.randn(shape, dtype=torch.bfloat16).requires_grad_() for _ in range(3)]
        pairs = [(seconds(fused, heads), seconds(attend_explicitly, heads)) for _ in range(ROUNDS)]
        ratio = statistics.median(theirs / ours for theirs, ours in pairs[2:])
        print(f"{tokens:5} tokens: fused / written = {ratio:.2f}")


if __name__ == "__main__":
    main()
