"""Files of JSON lines that grow during a run and can be cut back to where a checkpoint was taken."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Journal:
    """One file of JSON lines, open for appending; each line is handed to the system as it is written."""

    def __init__(self, path: Path, size: int = 0) -> None:
        """Open the file and cut it to its first `size` bytes."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("ab")
        self._file.truncate(size)

    def append(self, record: dict[str, Any]) -> None:
        """Write one line."""
        self._file.write(json.dumps(record, sort_keys=True, ensure_ascii=False).encode() + b"\n")
        self._file.flush()

    def sync(self) -> int:
        """Bring all lines to the disk; returns the size in bytes."""
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
