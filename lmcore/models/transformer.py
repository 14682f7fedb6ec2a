"""A decoder-only transformer of the Llama family (Touvron et al. 2023)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lmcore.models.settings import TransformerConfig
from lmcore.nn.attention import CausalSelfAttention
from lmcore.nn.cross_entropy import linear_cross_entropy
from lmcore.nn.feed_forward import FeedForward
from lmcore.nn.kv_cache import KVCache
from lmcore.nn.norm import RMSNorm
from lmcore.nn.rotary import rotary_angles


class Block(nn.Module):
    """Attention, then feed-forward; each reads a normalised stream and adds to the plain one."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width, config.norm_epsilon)
        self.attention = CausalSelfAttention(config.width, config.num_heads, config.num_key_value_heads)
        self.feed_forward_norm = RMSNorm(config.width, config.norm_epsilon)
        self.feed_forward = FeedForward(config.width, config.hidden_width)

    def forward(
        self,
        x: Tensor,
        cosine: Tensor,
        sine: Tensor,
        cache: KVCache | None = None,
        layer: int = 0,
        is_wanted: Tensor | None = None,
    ) -> Tensor:
        """(B, T, D) -> (B, T, D), or (N, D): the N tokens that is_wanted (B, T) marks, if others are done."""
        x = x + self.attention(self.attention_norm(x), cosine, sine, cache, layer)
        if is_wanted is not None:
            x = x[is_wanted]
        return x + self.feed_forward(self.feed_forward_norm(x))


class Transformer(nn.Module):
    """Token ids in, the logits of each next token out."""

    def __init__(self, config: TransformerConfig, vocab_size: int, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.vocab_size = vocab_size
        self.embedding = nn.Embedding(vocab_size, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.width, config.norm_epsilon)
        self.to_logits = nn.Linear(config.width, vocab_size, bias=False)
        if config.is_tied:
            self.to_logits.weight = self.embedding.weight
        self.initialize(seed)

    def forward(self, tokens: Tensor, cache: KVCache | None = None) -> Tensor:
        """(B, T) -> (B, T, V); with a cache, `tokens` continue the text that it holds."""
        logits: Tensor = self.to_logits(self.read(tokens, cache))
        return logits

    def loss(self, tokens: Tensor, is_counted: Tensor | None = None) -> Tensor:
        """Summed negative log-likelihood (nats) of all tokens but the first: (B, T + 1) -> float32 scalar.

        With is_counted (B, T) only of the targets [:, 1:] that it marks; no others reach the output layer.
        """
        hidden = self.read(tokens[:, :-1], is_wanted=is_counted)  # (B, T, D) or (N, D)
        targets = tokens[:, 1:].flatten() if is_counted is None else tokens[:, 1:][is_counted]
        return linear_cross_entropy(hidden.flatten(0, -2), self.to_logits.weight, targets)

    def read(self, tokens: Tensor, cache: KVCache | None = None, is_wanted: Tensor | None = None) -> Tensor:
        """What the model makes of the text up to each token: (B, T) -> (B, T, D), for the output layer.

        With is_wanted (B, T) only of the N tokens that it marks: -> (N, D); the others are dropped where no
        token reads another any more, before the last feed-forward.
        """
        start, num_tokens = (0 if cache is None else cache.num_tokens), tokens.shape[1]
        if cache is not None:
            cache.check_room(num_tokens)
        x = self.embedding(tokens)
        cosine, sine = rotary_angles(start + num_tokens, self.config.head_width, self.config.rope_theta)
        cosine, sine = cosine[start:].to(x), sine[start:].to(x)  # each (T, K/2)
        last = len(self.blocks) - 1
        for layer, block in enumerate(self.blocks):
            x = block(x, cosine, sine, cache, layer, is_wanted if layer == last else None)
        if cache is not None:
            cache.advance(num_tokens)
        x = self.norm(x)
        return x

    def new_cache(self, batch_size: int = 1, max_tokens: int | None = None) -> KVCache:
        """An empty cache that fits the model; max_tokens defaults to its context."""
        config, like = self.config, self.embedding.weight
        return KVCache(
            config.num_layers,
            batch_size,
            config.num_key_value_heads,
            max_tokens or config.context_tokens,
            config.head_width,
            like.dtype,
            like.device,
        )

    @torch.no_grad()
    def initialize(self, seed: int) -> None:
        """Draw the first weights; the seed alone decides them.

        Matrices keep the variance of what passes (1 / fan-in); those that write into the residual stream
        are scaled by 1 / sqrt(2 * num_layers), so that its variance does not grow with depth
        (Radford et al. 2019).
        """
        generator = torch.Generator().manual_seed(seed)
        residual_share = 1 / math.sqrt(2 * self.config.num_layers)
        for name, weight in self.named_parameters():
            if weight.dim() == 1:
                weight.fill_(1.0)
            elif name.startswith(("embedding.", "to_logits.")):
                weight.normal_(std=EMBEDDING_STD, generator=generator)
            else:
                std = weight.shape[1] ** -0.5 * (residual_share if ".to_out." in name else 1.0)
                weight.normal_(std=std, generator=generator)


EMBEDDING_STD = 0.02
"""Small, so that the tied output layer begins near a uniform guess: loss ln V."""
