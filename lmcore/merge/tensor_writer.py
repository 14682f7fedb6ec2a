"""A safetensors file whose header is written first; the tensors may follow in any order, from any thread.

The bytes are those that the safetensors library would write: large elements first, then by name.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
}
"""What can be merged, by the file format's names."""
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


class Slot(NamedTuple):
    """What a tensor will be."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class TensorWriter:
    """Opens a file with a place for every tensor.

    Raises:
        OSError: the disk is full, or refuses for another reason.
    """

    def __init__(self, path: Path, slots: Mapping[str, Slot]) -> None:
        self.path = path
        self.slots = dict(sorted(slots.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])))
        self._places: dict[str, int] = {}
        header = self._header()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self._put(header, 0)

    def _header(self) -> bytes:
        """Eight bytes of length, JSON, spaces up to a multiple of eight; sets the tensors' places."""
        entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
        end = 0
        for name, slot in self.slots.items():
            begin, end = end, end + slot.size
            entries[name] = {
                "dtype": _NAMES[slot.dtype],
                "shape": list(slot.shape),
                "data_offsets": [begin, end],
            }
            self._places[name] = begin
        text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        self._places = {name: 8 + len(text) + begin for name, begin in self._places.items()}
        return len(text).to_bytes(8, "little") + text

    def write(self, name: str, tensor: Tensor) -> None:
        """Put a tensor into its place, in its slot's dtype."""
        slot = self.slots[name]
        assert tensor.shape == slot.shape, (name, tensor.shape, slot)
        plain = tensor.to(slot.dtype).contiguous().view(-1)
        if len(plain):
            self._put(plain.view(torch.uint8).numpy(), self._places[name])

    def _put(self, data: Any, place: int) -> None:
        rest = memoryview(data)
        try:
            while rest:  # the system takes at most 2 GiB at a time
                written = os.pwrite(self._file, rest, place)
                rest, place = rest[written:], place + written
        except OSError as error:
            raise OSError(
                f"cannot write {self.path} ({error}); make room on that disk, then start again"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)
