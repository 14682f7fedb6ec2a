"""Tensors on disk as safetensors: nothing in such a file can run when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write tensors to a file that others may read, too.

    Raises:
        OSError: the disk is full, or refuses for another reason.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(whole, path, metadata=metadata)
    except SafetensorError as error:
        raise OSError(f"cannot write {path} ({error}); make room on that disk, then start again") from None
    path.chmod(0o644)  # safetensors lets only the owner read
