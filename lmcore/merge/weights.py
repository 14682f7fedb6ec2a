"""Model folders in, a merged model folder out, weight by weight: never more than a few weights in memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial, reduce
from operator import add
from pathlib import Path

import torch
from torch import Tensor

from lmcore.interop.hugging_face import TOKENIZER_FILES, WEIGHTS
from lmcore.lineage import Facts
from lmcore.merge.folders import WeightFolder, check_same
from lmcore.merge.measures import Measures, measure
from lmcore.merge.settings import MergeConfig, MethodPart
from lmcore.merge.tensor_writer import Slot, TensorWriter
from lmcore.runtime import usable_cores

Progress = Callable[[int, int], None]

AT_ONCE = 1 << 28
"""Bytes of each model that may be worked on at a time, unless one weight alone has more."""
COPIED = ("generation_config.json", *TOKENIZER_FILES)


def merge_folders(
    base: Path | None,
    parents: Sequence[Path],
    out: Path,
    settings: MergeConfig,
    progress: Progress | None = None,
) -> Facts:
    """Merge the weights of `parents` (Hugging Face folders) into a folder `out` of the same kind.

    Configuration, tokenizer and chat template come from the base; what it lacks, and all of it where there is
    no base, from the first parent that has it. Weights that are whole numbers must be the same in all models
    and stay so. Each weight is written in the widest dtype that it has in a model. The bytes do not depend on
    the number of threads. `progress` is told tensors done and in all.

    Returns:
        method, tensors and parameters, where changes are measured from (`base`, or `zero` without one), and
        what `Measures.facts` tells of the parents, which count from 1.

    Raises:
        ValueError: the models do not belong together, the method cannot do with so many parents or without a
            base, or a weight has values that are not finite.
        OSError: the disk is full.
    """
    _rehearse(settings.method, base is not None, len(parents))
    folders = [*([base] if base else []), *parents]
    if out.resolve() in {folder.resolve() for folder in folders}:
        raise ValueError(f"{out} is one of the models to merge, which stay as they are; name another folder")
    models = [WeightFolder(folder) for folder in folders]
    check_same(models)
    out.mkdir(parents=True, exist_ok=True)
    slots = _slots(models)
    with TensorWriter(out / WEIGHTS, slots) as writer, _lanes() as lanes:
        merge = partial(_merge_one, settings.method, models, base is not None, writer)
        measures = []
        for batch in _batches(slots):
            for measured in lanes.map(merge, batch):
                measures.append(measured)
                if progress:
                    progress(len(measures), len(slots))
    _write_config(models[0], slots, out)
    for name in COPIED:
        source = next((m.folder / name for m in models if (m.folder / name).is_file()), None)
        if source:
            shutil.copyfile(source, out / name)
    told: dict[str, int | float | str] = {"method": settings.method.type, "tensors": len(slots)}
    told["measured_from"] = "base" if base else "zero"
    return told | reduce(add, filter(None, measures)).facts()


def _rehearse(method: MethodPart, has_base: bool, num_parents: int) -> None:
    """Let the method refuse what it cannot do on a weight of one number, before any work."""
    if num_parents < 1:
        raise ValueError("got no parents; expected at least one model to merge")
    tensors = [torch.ones(1) for _ in range(num_parents)]
    try:
        method.build()(torch.ones(1) if has_base else None, tensors, "")
    except ValueError as error:
        raise ValueError(f"merge method '{method.type}': {error}") from None


def _merge_one(
    method: MethodPart, models: Sequence[WeightFolder], has_base: bool, writer: TensorWriter, name: str
) -> Measures | None:
    """Merge, write and measure one weight; None for whole numbers."""
    weights = [model.read(name) for model in models]
    if not weights[0].is_floating_point():
        _check_equal(name, weights, models)
        writer.write(name, weights[0])
        return None
    base, parents = (weights[0], weights[1:]) if has_base else (None, weights)
    try:
        merged: Tensor = method.build()(base, parents, name)
    except ValueError as error:
        _check_finite(name, weights, models)
        raise ValueError(f"weight '{name}': {error}") from None
    measured = measure(base, parents, merged)
    if not measured.is_finite:
        _check_finite(name, weights, models)
        raise ValueError(f"weight '{name}' grew beyond all numbers; give smaller weights or a smaller scale")
    writer.write(name, merged)
    return measured


def _check_equal(name: str, weights: Sequence[Tensor], models: Sequence[WeightFolder]) -> None:
    for weight, model in zip(weights[1:], models[1:], strict=True):
        if not torch.equal(weight, weights[0]):
            raise ValueError(
                f"'{name}' holds whole numbers, which do not average, and differs between "
                f"{models[0].folder} and {model.folder}; expected the same in all models"
            )


def _check_finite(name: str, weights: Sequence[Tensor], models: Sequence[WeightFolder]) -> None:
    for weight, model in zip(weights, models, strict=True):
        if not weight.isfinite().all():
            raise ValueError(
                f"weight '{name}' of {model.folder} has values that are not finite; "
                "merge a checkpoint from before its training diverged"
            )


def _slots(models: Sequence[WeightFolder]) -> dict[str, Slot]:
    """Every weight in the widest dtype that it has anywhere."""
    return {
        name: Slot(reduce(torch.promote_types, (model.slots[name].dtype for model in models)), slot.shape)
        for name, slot in sorted(models[0].slots.items())
    }


def _batches(slots: dict[str, Slot]) -> Iterator[list[str]]:
    """Names in order, in batches of at most AT_ONCE bytes, or of one weight."""
    batch: list[str] = []
    size = 0
    for name, slot in slots.items():
        if batch and size + slot.size > AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(name)
        size += slot.size
    yield batch


@contextmanager
def _lanes() -> Iterator[ThreadPoolExecutor]:
    """Threads that each merge a weight from end to end: sums split over threads would round differently."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(usable_cores()) as lanes:
            yield lanes
    finally:
        torch.set_num_threads(before)


def _write_config(model: WeightFolder, slots: dict[str, Slot], out: Path) -> None:
    """The first model's config.json, as it is, or with the dtype that was written."""
    floats = {slot.dtype for slot in slots.values() if slot.dtype.is_floating_point}
    dtype = str(reduce(torch.promote_types, floats)).removeprefix("torch.") if floats else None
    known = {name: dtype for name in ("dtype", "torch_dtype") if model.config.get(name)}
    if all(model.config[name] == dtype for name in known):
        shutil.copyfile(model.folder / "config.json", out / "config.json")
        return
    text = json.dumps({**model.config, **known}, indent=2, sort_keys=True) + "\n"
    (out / "config.json").write_text(text, encoding="utf-8")
