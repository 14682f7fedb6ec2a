"""DuckDB over Parquet files, in memory: nothing is written but what spills."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


@contextmanager
def open_database(memory_bytes: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory for the time of a `with` block.

    Args:
        memory_bytes: what it may hold before it spills to a passing folder; None for what DuckDB takes.
    """
    import duckdb

    with TemporaryDirectory(prefix="lm-duckdb-") as folder:
        settings: dict[str, str | bool | int | float | list[str]] = {
            # Nothing is installed or loaded from the network or the home folder.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "temp_directory": folder,
        }
        if memory_bytes:
            settings["memory_limit"] = f"{memory_bytes}B"
        database = duckdb.connect(":memory:", config=settings)
        database.execute("SET enable_progress_bar = false")  # it would be drawn into the answer
        try:
            yield database
        finally:
            database.close()


def quoted(path: Path) -> str:
    """The path as an SQL string that is no pattern."""
    literal = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path))
    return "'" + literal.replace("'", "''") + "'"
