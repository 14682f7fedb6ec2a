"""Our settings as a Llama config.json and back, in the spellings of `transformers` 4 and 5."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from lmcore.config import explain
from lmcore.models.settings import TransformerConfig

_NAMES = {
    "width": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "num_key_value_heads": "num_key_value_heads",
    "hidden_width": "intermediate_size",
    "context_tokens": "max_position_embeddings",
    "norm_epsilon": "rms_norm_eps",
    "is_tied": "tie_word_embeddings",
}
_FIXED = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "attention_dropout": 0.0,
    "pretraining_tp": 1,
}
"""What this architecture does not vary, and so must find in a folder that it loads."""


_NEEDED = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")


def to_config(config: TransformerConfig, vocab_size: int, token_ids: dict[str, int | None]) -> dict[str, Any]:
    """The content of config.json; `token_ids` are bos_token_id, eos_token_id, pad_token_id."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocab_size,
        **{theirs: getattr(config, ours) for ours, theirs in _NAMES.items()},
        **_FIXED,
        "head_dim": config.head_width,
        "initializer_range": 0.02,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_theta": config.rope_theta, "rope_type": "default"},
        "dtype": "float32",
        "torch_dtype": "float32",
        "use_cache": True,
        **token_ids,
    }


def from_config(document: dict[str, Any]) -> tuple[TransformerConfig, int]:
    """Settings and vocab_size from the content of config.json.

    Raises:
        ValueError: it is no Llama, or one with something that this architecture does not have.
    """
    _check_family(document)
    given = {ours: document[theirs] for ours, theirs in _NAMES.items() if document.get(theirs) is not None}
    given.setdefault("is_tied", False)
    try:
        config = TransformerConfig(rope_theta=_rope_theta(document), **given)
    except ValidationError as error:
        raise ValueError(f"config.json: {explain(error, TransformerConfig)}") from None
    if (head_width := document.get("head_dim") or config.head_width) != config.head_width:
        raise ValueError(
            f"config.json has head_dim {head_width}; "
            f"expected hidden_size / num_attention_heads = {config.head_width}"
        )
    return config, int(document["vocab_size"])


def _check_family(document: dict[str, Any]) -> None:
    if document.get("model_type") != "llama":
        raise ValueError(
            f"config.json has model_type {document.get('model_type')!r}; only 'llama' can be loaded"
        )
    for name in _NEEDED:
        if name not in document:
            raise ValueError(f"config.json has no '{name}', which a Llama needs")
    for name in ("hidden_act", "attention_bias", "mlp_bias"):
        if document.get(name, _FIXED[name]) != _FIXED[name]:
            raise ValueError(
                f"config.json has {name} {document[name]!r}; this architecture has {_FIXED[name]!r}"
            )


def _rope_theta(document: dict[str, Any]) -> float:
    """The rotary base, from v5's rope_parameters or v4's rope_theta.

    Raises:
        ValueError: the angles are scaled, which would load silently and be wrong.
    """
    rope = document.get("rope_parameters") or {}
    kinds = [rope, document.get("rope_scaling") or {}]
    for kind in (kind.get("rope_type") or kind.get("type") for kind in kinds):
        if kind not in (None, "default"):
            raise ValueError(f"config.json scales rotary positions by '{kind}'; only 'default' can be loaded")
    return float(rope.get("rope_theta") or document.get("rope_theta") or 10_000.0)
