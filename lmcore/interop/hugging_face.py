"""Model folders as `transformers` reads and writes them (Llama family), with safetensors and no pickle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from lmcore.interop.llama_config import from_config, to_config
from lmcore.interop.llama_names import Weights, from_llama, to_llama
from lmcore.interop.tensor_files import write_tensors
from lmcore.models.transformer import Transformer
from lmcore.tokenizers.tokenizer import Tokenizer

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
)


def save_folder(model: Transformer, tokenizer_folder: Path, folder: Path) -> None:
    """Write a model and its tokenizer so that `AutoModelForCausalLM` and `AutoTokenizer` load them.

    Weights are float32; the output layer is left out where it is the embedding.

    Raises:
        ValueError: the tokenizer has ids that the model does not know.
    """
    tokenizer = Tokenizer.load(tokenizer_folder)
    if tokenizer.vocab_size > model.vocab_size:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} tokens, the model knows {model.vocab_size}; "
            f"save it with the tokenizer that it was trained with"
        )
    folder.mkdir(parents=True, exist_ok=True)
    token_ids: dict[str, int | None] = {
        "bos_token_id": tokenizer.eos_id,
        "eos_token_id": tokenizer.eos_id,
        "pad_token_id": tokenizer.pad_id,
    }
    weights = {name: tensor.float() for name, tensor in model.state_dict().items()}
    write_tensors(to_llama(weights, model.config), folder / WEIGHTS, {"format": "pt"})
    _write_json(folder / "config.json", to_config(model.config, model.vocab_size, token_ids))
    _write_json(folder / "generation_config.json", {"_from_model_config": True, **token_ids})
    for name in TOKENIZER_FILES:
        if (tokenizer_folder / name).is_file():
            shutil.copyfile(tokenizer_folder / name, folder / name)


def load_folder(folder: Path, device: str = "cpu") -> Transformer:
    """A model folder of the Llama family as our own model: float32, ready to use (not to train).

    Raises:
        ValueError: a file is missing or damaged, or the architecture is another.
    """
    config, vocab_size = from_config(_read_json(folder / "config.json"))
    model = Transformer(config, vocab_size)
    state = from_llama(_read_weights(folder), config)
    _check_shapes(state, model)
    model.load_state_dict(state)
    return model.to(device).eval().requires_grad_(False)


def _read_weights(folder: Path) -> Weights:
    """All weights of a folder as float32, whether they lie in one file or in several."""
    names = [WEIGHTS]
    if not (folder / WEIGHTS).is_file() and (folder / WEIGHTS_INDEX).is_file():
        names = sorted(set(_read_json(folder / WEIGHTS_INDEX)["weight_map"].values()))
    weights: Weights = {}
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise ValueError(f"{folder} has no {name}; expected weights as safetensors")
        try:
            weights |= load_file(folder / name)
        except SafetensorError as error:
            raise ValueError(f"{folder / name} is damaged ({error}); restore or rebuild it") from None
    return {name: tensor.to(torch.float32) for name, tensor in weights.items()}


def _check_shapes(state: Weights, model: Transformer) -> None:
    for name, expected in model.state_dict().items():
        if state[name].shape != expected.shape:
            raise ValueError(
                f"weight '{name}' has shape {tuple(state[name].shape)}, "
                f"but config.json makes it {tuple(expected.shape)}; the two do not belong together"
            )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ValueError(
            f"{path.parent} has no {path.name}; expected a folder that `transformers` wrote"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); restore or rebuild it") from None
    return document


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
