"""How the Llama family names and cuts the weights that we hold."""

from __future__ import annotations

import torch
from torch import Tensor

from lmcore.models.settings import TransformerConfig

Weights = dict[str, Tensor]

_WHOLE = {
    "input_layernorm.weight": "attention_norm.weight",
    "post_attention_layernorm.weight": "feed_forward_norm.weight",
    "self_attn.o_proj.weight": "attention.to_out.weight",
    "mlp.down_proj.weight": "feed_forward.to_out.weight",
}
_STACKED = {
    "attention.to_query_key_value.weight": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "feed_forward.to_gate_and_up.weight": ("mlp.gate_proj", "mlp.up_proj"),
}
_TOP = {"model.embed_tokens.weight": "embedding.weight", "model.norm.weight": "norm.weight"}
_HEAD = ("lm_head.weight", "to_logits.weight")


def to_llama(weights: Weights, config: TransformerConfig) -> Weights:
    """Our weights under Llama's names; the output layer is left out where it is the embedding."""
    rows = _rows(config)
    named = {theirs: weights[ours] for theirs, ours in _TOP.items()}
    for layer in range(config.num_layers):
        for theirs, ours in _WHOLE.items():
            named[f"model.layers.{layer}.{theirs}"] = weights[f"blocks.{layer}.{ours}"]
        for ours, pieces in _STACKED.items():
            parts = torch.split(weights[f"blocks.{layer}.{ours}"], rows[ours])
            named |= {f"model.layers.{layer}.{p}.weight": t for p, t in zip(pieces, parts, strict=True)}
    if not config.is_tied:
        named[_HEAD[0]] = weights[_HEAD[1]]
    return {name: tensor.contiguous() for name, tensor in sorted(named.items())}


def from_llama(weights: Weights, config: TransformerConfig) -> Weights:
    """Llama's weights under our names, as a full state dict.

    Raises:
        ValueError: a weight is missing or left over.
    """
    left = dict(weights)

    def take(name: str) -> Tensor:
        if name not in left:
            raise ValueError(f"the folder has no weight '{name}', which its config.json calls for")
        return left.pop(name)

    state = {ours: take(theirs) for theirs, ours in _TOP.items()}
    for layer in range(config.num_layers):
        for theirs, ours in _WHOLE.items():
            state[f"blocks.{layer}.{ours}"] = take(f"model.layers.{layer}.{theirs}")
        for ours, pieces in _STACKED.items():
            parts = [take(f"model.layers.{layer}.{piece}.weight") for piece in pieces]
            state[f"blocks.{layer}.{ours}"] = torch.cat(parts)
    if config.is_tied:
        left.pop(_HEAD[0], None)
    state[_HEAD[1]] = state["embedding.weight"] if config.is_tied else take(_HEAD[0])
    extra = [name for name in left if not name.endswith("rotary_emb.inv_freq")]
    if extra:
        raise ValueError(f"the folder has a weight that this architecture has no place for: '{extra[0]}'")
    return state


def _rows(config: TransformerConfig) -> dict[str, list[int]]:
    key_value_rows = config.num_key_value_heads * config.head_width
    return {
        "attention.to_query_key_value.weight": [config.width, key_value_rows, key_value_rows],
        "feed_forward.to_gate_and_up.weight": [config.hidden_width] * 2,
    }
