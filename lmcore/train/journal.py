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
        """Open the file and cut it to its first `size` bytes.

        Raises:
            ValueError: it is shorter.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        found = path.stat().st_size if path.exists() else 0
        if found < size:
            raise ValueError(
                f"{path} has {found} bytes, its checkpoint saw {size}; remove {path.parent} to start anew"
            )
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

    def close(self) -> None:
        """Write no more."""
        self._file.close()


class Journals:
    """What a run writes while it goes: what it measured, what the model wrote, what the clock said."""

    def __init__(self, folder: Path, sizes: dict[str, int]) -> None:
        """Open them, each cut to its size; those that `sizes` does not name begin empty."""
        self.metrics = Journal(folder / "metrics.jsonl", sizes.get("metrics", 0))
        self.samples = Journal(folder / "samples.jsonl", sizes.get("samples", 0))
        self.timings = Journal(folder / "log" / "timings.jsonl", sizes.get("timings", 0))

    def sync(self) -> dict[str, int]:
        """Bring all to the disk; returns their sizes."""
        return {
            "metrics": self.metrics.sync(),
            "samples": self.samples.sync(),
            "timings": self.timings.sync(),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for journal in (self.metrics, self.samples, self.timings):
            journal.close()
