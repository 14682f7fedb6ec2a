"""Model folders as merging sees them: a configuration, a tokenizer and weights that are read one at a time.

Models merge weight by weight, so everything that gives a weight its meaning must be the same in all of them:
architecture, tokenizer, names, shapes. What differs is refused here, before any weight is touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lmcore.interop.hugging_face import WEIGHTS, WEIGHTS_INDEX
from lmcore.merge.tensor_writer import DTYPES, Slot

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
INCIDENTAL = {
    "_name_or_path",
    "architectures",
    "transformers_version",
    "dtype",
    "torch_dtype",
    "use_cache",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "initializer_range",
}
"""What config.json tells beside the architecture."""


class WeightFolder:
    """A Hugging Face folder whose weights lie in one file of safetensors, or in several.

    Raises:
        ValueError: a file is missing or damaged, or a weight has a dtype that does not merge.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, Path] = {}
        self.slots: dict[str, Slot] = {}
        """Dtype and shape of each weight; a head that repeats the embedding is left out."""
        for name in self._file_names():
            self._open(folder / name)
        if not any(slot.dtype.is_floating_point for slot in self.slots.values()):
            raise ValueError(f"{folder} holds no weights; expected a trained model")
        if HEAD in self.slots and self.config.get("tie_word_embeddings") is True:
            self._drop_tied_head()

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of config.json."""
        config = read_json(self.folder / "config.json")
        if config is None:
            raise ValueError(f"{self.folder} has no config.json; expected the folder of a model")
        return config

    def read(self, name: str) -> Tensor:
        """One weight. The file is mapped anew each time: pages of the weights before are let go."""
        with safe_open(self._files[name], "pt") as file:
            weight: Tensor = file.get_tensor(name)
        return weight

    def _file_names(self) -> Iterable[str]:
        if (self.folder / WEIGHTS).is_file():
            return [WEIGHTS]
        index = read_json(self.folder / WEIGHTS_INDEX)
        if index is None:
            raise ValueError(f"{self.folder} has no {WEIGHTS}; expected weights as safetensors")
        return sorted(set(index.get("weight_map", {}).values()))

    def _open(self, path: Path) -> None:
        if path.parent != self.folder or not path.is_file():
            raise ValueError(f"{self.folder} has no {path.name}, which its index names; fetch or rebuild it")
        try:
            with safe_open(path, "pt") as file:
                names: list[str] = file.keys()
                for name in names:
                    entry = file.get_slice(name)
                    self._add(name, entry.get_dtype(), tuple(entry.get_shape()), path)
        except SafetensorError as error:
            raise ValueError(f"{path} is damaged ({error}); restore or rebuild it") from None

    def _add(self, name: str, dtype: str, shape: tuple[int, ...], path: Path) -> None:
        if dtype not in DTYPES:
            raise ValueError(f"{path} holds '{name}' as {dtype}; expected one of {', '.join(DTYPES)}")
        if name.endswith("rotary_emb.inv_freq"):  # old folders store what the configuration says already
            return
        self.slots[name] = Slot(DTYPES[dtype], shape)
        self._files[name] = path

    def _drop_tied_head(self) -> None:
        if EMBEDDING not in self.slots or not torch.equal(self.read(HEAD), self.read(EMBEDDING)):
            raise ValueError(
                f"{self.folder} has an output layer unlike its embedding, but config.json ties the two; "
                "set tie_word_embeddings to false there, and in every model to merge"
            )
        del self.slots[HEAD], self._files[HEAD]


def check_same(folders: Sequence[WeightFolder]) -> None:
    """Refuse folders that do not merge with the first.

    Raises:
        ValueError: architecture, tokenizer, or the names, shapes or kinds of the weights differ.
    """
    first = folders[0]
    for other in folders[1:]:
        _check_config(first, other)
        _check_tokenizer(first.folder, other.folder)
        _check_weights(first, other)


def _check_config(first: WeightFolder, other: WeightFolder) -> None:
    one, two = _architecture(first.config), _architecture(other.config)
    for name in sorted(one.keys() & two.keys()):
        if one[name] != two[name]:
            raise ValueError(
                f"{first.folder} and {other.folder} do not merge: {name} is {one[name]!r} and {two[name]!r}; "
                "expected models of one architecture"
            )


def _architecture(config: dict[str, Any]) -> dict[str, Any]:
    """What must agree, with the rotary settings of `transformers` 4 and 5 in one spelling."""
    rope = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    flat = {**config, **rope, "rope_type": rope.get("rope_type") or rope.get("type") or "default"}
    left_out = INCIDENTAL | {"rope_scaling", "rope_parameters", "type"}
    return {name: value for name, value in flat.items() if name not in left_out and value is not None}


def _check_tokenizer(first: Path, other: Path) -> None:
    one, two = (read_json(folder / "tokenizer.json") for folder in (first, other))
    if one != two:
        raise ValueError(
            f"{first} and {other} do not merge: their tokenizer.json differ, so that the same row of the "
            "embedding stands for different tokens; merge models that share a tokenizer"
        )


def _check_weights(first: WeightFolder, other: WeightFolder) -> None:
    for name in sorted(first.slots.keys() ^ other.slots.keys()):
        has, lacks = (first, other) if name in first.slots else (other, first)
        raise ValueError(
            f"{has.folder} has a weight '{name}', {lacks.folder} has none; "
            "expected the same names in all models"
        )
    for name, slot in first.slots.items():
        theirs = other.slots[name]
        if slot.shape != theirs.shape:
            raise ValueError(
                f"weight '{name}' has shape {slot.shape} in {first.folder}, "
                f"{theirs.shape} in {other.folder}; expected the same shapes in all models"
            )
        if slot.dtype.is_floating_point != theirs.dtype.is_floating_point:
            raise ValueError(
                f"weight '{name}' is {slot.dtype} in {first.folder}, {theirs.dtype} in {other.folder}; "
                "expected floating-point numbers in all models, or in none"
            )


def read_json(path: Path) -> dict[str, Any] | None:
    """The content of a JSON file; None if there is none.

    Raises:
        ValueError: it does not parse.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); restore or rebuild it") from None
    return content
