"""Adapter folders as PEFT reads and writes them: LoRA on a Llama, with single trained rows of tokens.

Rows are whole rows there, not changes of the base's, and an output layer that is tied to the embedding shares
them without a word in the file.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lmcore.finetune.adapters.lora import apply_parts, lora_layers
from lmcore.finetune.adapters.settings import LoraConfig
from lmcore.finetune.adapters.token_rows import AdaptedEmbedding, AdaptedHead
from lmcore.interop.peft_config import CONFIG, from_config, read_config, to_config
from lmcore.interop.tensor_files import write_tensors
from lmcore.models.transformer import Transformer

WEIGHTS = "adapter_model.safetensors"

_ROWS = {
    "embed_tokens": "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta",
    "lm_head": "base_model.model.lm_head.token_adapter.trainable_tokens_delta",
}


def save_adapter(model: Transformer, config: LoraConfig, base_name: str, folder: Path) -> None:
    """Write a model's adapters so that `PeftModel.from_pretrained(base, folder)` computes the same.

    `base_name` is what the base is known by, for readers; it must mean the same on another machine.

    Raises:
        ValueError: the model has no adapters, or the name is a path of this machine.
    """
    if not base_name or Path(base_name).is_absolute():
        raise ValueError(f"'{base_name}' says nothing elsewhere; give the base's name instead of its path")
    if not lora_layers(model):
        raise ValueError("the model has no adapters to save; apply_lora adds them")
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(_tensors(model), folder / WEIGHTS, {"format": "pt"})
    ids = {name: rows.token_ids.tolist() for name, rows in _row_modules(model).items()}
    text = json.dumps(to_config(config, ids, base_name), indent=2, sort_keys=True) + "\n"
    (folder / CONFIG).write_text(text, encoding="utf-8")


def load_adapter(model: Transformer, folder: Path) -> LoraConfig:
    """Add the adapters of a PEFT folder to a base, in place, and return their settings.

    Raises:
        ValueError: a file is missing or damaged, or the adapter is of another kind or for another base; this
            base is then to be loaded anew.
    """
    weights = _read_weights(folder / WEIGHTS)
    config, ids = from_config(read_config(folder / CONFIG), weights, model.config.is_tied)
    apply_parts(model, config, ids.get("embed_tokens", []), ids.get("lm_head", []), seed=0)
    with torch.no_grad():
        for name, place in _places(model).items():
            place.copy_(_take(weights, name, place.shape))
        for name, rows in _row_modules(model).items():
            plain = rows.base.weight[rows.token_ids]
            rows.changes.copy_(_take(weights, _ROWS[name], plain.shape).to(plain) - plain)
    if weights:
        raise ValueError(f"{folder / WEIGHTS} has a weight without a place in this base: '{min(weights)}'")
    return config


def _places(model: Transformer) -> dict[str, Tensor]:
    """Every A and B, as views, by PEFT's name."""
    found = {}
    for (block, layer), module in lora_layers(model).items():
        parent = "self_attn" if layer.startswith("attention.") else "mlp"
        for target, piece in module.pieces().items():
            prefix = f"base_model.model.model.layers.{block}.{parent}.{target}"
            found[f"{prefix}.lora_A.weight"] = piece.a
            found[f"{prefix}.lora_B.weight"] = piece.b
    return found


def _row_modules(model: Transformer) -> dict[str, AdaptedEmbedding | AdaptedHead]:
    """The layers with trained rows, by PEFT's name; a tied output layer has none of its own."""
    found = {"embed_tokens": model.get_submodule("embedding"), "lm_head": model.get_submodule("to_logits")}
    if model.config.is_tied:
        del found["lm_head"]
    return {n: m for n, m in found.items() if isinstance(m, AdaptedEmbedding | AdaptedHead)}


def _tensors(model: Transformer) -> dict[str, Tensor]:
    rows = {_ROWS[name]: m.merged_weight()[m.token_ids] for name, m in _row_modules(model).items()}
    return {name: tensor.float() for name, tensor in sorted((_places(model) | rows).items())}


def _take(weights: dict[str, Tensor], name: str, shape: torch.Size) -> Tensor:
    if name not in weights:
        raise ValueError(f"the adapter has no weight '{name}'; expected one for every block of the base")
    if weights[name].shape != shape:
        raise ValueError(
            f"weight '{name}' has shape {tuple(weights[name].shape)}, expected {tuple(shape)}: "
            f"the adapter belongs to another base"
        )
    return weights.pop(name)


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except OSError:
        raise ValueError(f"{path.parent} has no {path.name}; expected weights as safetensors") from None
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}); restore or rebuild it") from None
