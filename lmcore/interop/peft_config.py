"""Our adapter's settings as PEFT's adapter_config.json and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lmcore.config import explain
from lmcore.finetune.adapters.settings import TARGETS, LoraConfig

CONFIG = "adapter_config.json"
TokenIds = dict[str, list[int]]
"""Whose rows are trained in `embed_tokens`, and in an output layer `lm_head` that is not tied to it."""

_NAMES = {"rank": "r", "alpha": "lora_alpha", "dropout": "lora_dropout", "use_rslora": "use_rslora"}
_DEFAULTS = {"rank": 8, "alpha": 8}
"""What PEFT takes where a file leaves them out."""
_HARMLESS = {
    *("peft_type", "task_type", "peft_version", "auto_mapping", "base_model_name_or_path", "revision"),
    *("inference_mode", "runtime_config", "exclude_modules", "layers_pattern", "ensure_weight_tying"),
    *("megatron_core", "qalora_group_size"),  # of no meaning without a partner, which is refused
    *("loftq_config", "eva_config", "corda_config", "lora_ga_config"),  # how A and B began
    *("target_modules", "trainable_token_indices", "init_lora_weights", *_NAMES.values()),  # read below
}
"""Keys that may hold anything; all others must be off."""
_BEGINNINGS = (True, False, None, "gaussian", "orthogonal", "eva")
"""How A and B may have begun; PEFT's other ways change the base's weights, too."""


def to_config(config: LoraConfig, token_ids: TokenIds, base_name: str) -> dict[str, Any]:
    """The content of adapter_config.json, with few keys: readers refuse those that they do not know."""
    document = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "target_modules": list(config.targets),
        **{theirs: getattr(config, ours) for ours, theirs in _NAMES.items()},
    }
    if config.alpha.is_integer():
        document["lora_alpha"] = int(config.alpha)
    if token_ids:  # the short form is for the embedding, and for an output layer that is tied to it
        is_short = list(token_ids) == ["embed_tokens"]
        document["trainable_token_indices"] = token_ids["embed_tokens"] if is_short else token_ids
    return document


def from_config(
    document: dict[str, Any], weight_names: Iterable[str], is_tied: bool
) -> tuple[LoraConfig, TokenIds]:
    """Settings and trained rows from the content of adapter_config.json.

    PEFT's target_modules may be a pattern, so the names of the weights tell what is adapted.

    Raises:
        ValueError: it is more than plain LoRA, which read as such would silently give other numbers.
    """
    _check_kind(document)
    adapted = {part for name in weight_names for part in name.split(".")}
    given: dict[str, Any] = {"targets": [target for target in TARGETS if target in adapted], **_DEFAULTS}
    given |= {ours: document[theirs] for ours, theirs in _NAMES.items() if theirs in document}
    try:
        return LoraConfig(**given), _token_ids(document, is_tied)
    except ValidationError as error:
        raise ValueError(f"{CONFIG}: {explain(error, LoraConfig)}") from None


def read_config(path: Path) -> dict[str, Any]:
    """The content of an adapter_config.json.

    Raises:
        ValueError: it is missing or holds no JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ValueError(f"{path.parent} has no {path.name}; expected a folder that PEFT wrote") from None
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); restore or rebuild it") from None
    if not isinstance(document, dict):
        raise ValueError(f"{path} holds a {type(document).__name__}, expected an object of settings")
    return document


def _check_kind(document: Mapping[str, Any]) -> None:
    if document.get("peft_type") != "LORA":
        raise ValueError(f"{CONFIG} has peft_type {document.get('peft_type')!r}; only 'LORA' can be loaded")
    strange = {name: value for name, value in sorted(document.items()) if name not in _HARMLESS and value}
    if strange.get("bias") == "none":
        del strange["bias"]
    if (beginning := document.get("init_lora_weights")) not in _BEGINNINGS:
        strange["init_lora_weights"] = beginning
    for name, value in strange.items():
        raise ValueError(
            f"{CONFIG} has {name} {value!r}, which is more than plain LoRA; let PEFT merge this adapter, "
            f"then load the model that comes out"
        )


def _token_ids(document: Mapping[str, Any], is_tied: bool) -> TokenIds:
    given = document.get("trainable_token_indices") or {}
    named = given if isinstance(given, Mapping) else {"embed_tokens": given}
    rows = {name.rpartition(".")[2]: list(ids) for name, ids in named.items()}
    for name in rows:
        if name not in ("embed_tokens", "lm_head"):
            raise ValueError(f"{CONFIG} trains rows of '{name}'; expected embed_tokens or lm_head")
    if is_tied and rows.pop("lm_head", rows.get("embed_tokens")) != rows.get("embed_tokens"):
        raise ValueError(
            f"{CONFIG} trains other rows in lm_head than in embed_tokens; this base ties the two"
        )
    return rows
