"""The working state of a run on disk, so that it can go on where it stopped, bit for bit.

A checkpoint is one safetensors file whose name holds the step and the SHA-256 of its bytes. It is written
under another name, brought to the disk and then renamed; the two latest are kept. A file that is torn or
damaged does not match its name, and the one before it is used.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from lmcore.interop.tensor_files import write_tensors

NUM_KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on."""

    step: int
    """Optimizer steps that are done."""

    identity: str
    """Digest of what is trained on what: another run's state is never taken up."""

    tensors: Mapping[str, Tensor]
    """Weights, the optimizer's memory, the best weights: named by kind and weight, as `best/norm.weight`."""

    numbers: dict[str, Any] = field(default_factory=dict)
    """What is no tensor, as plain JSON."""

    def of_kind(self, kind: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `kind/`, without it."""
        prefix = f"{kind}/"
        return {n.removeprefix(prefix): t for n, t in self.tensors.items() if n.startswith(prefix)}


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> Path:
    """Write a checkpoint, whole or not at all, and remove all but the two latest."""
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / "unfinished"
    about = {"step": checkpoint.step, "identity": checkpoint.identity, "numbers": checkpoint.numbers}
    write_tensors(checkpoint.tensors, scratch, {"checkpoint": json.dumps(about, sort_keys=True)})
    path = folder / f"step-{checkpoint.step:08d}-{_sha256(scratch)}.safetensors"
    sync_file(scratch)
    scratch.rename(path)
    sync_file(folder)
    for old in _newest_first(folder)[NUM_KEPT:]:
        old.unlink()
    return path


def load_latest(folder: Path, identity: str) -> Checkpoint | None:
    """The latest checkpoint that is whole, or None.

    Raises:
        ValueError: it belongs to a run of other settings or data.
    """
    for path in _newest_first(folder):
        if path.stem.rpartition("-")[2] == _sha256(path):
            return _read(path, identity)
    return None


def sync_file(path: Path) -> None:
    """Bring a file's bytes, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, identity: str) -> Checkpoint:
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["checkpoint"])
        if about["identity"] != identity:
            raise ValueError(
                f"{path.parent} holds step {about['step']} of a run with other settings or data; "
                f"remove that folder to start anew, or choose another place"
            )
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    return Checkpoint(about["step"], identity, tensors, about["numbers"])


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
