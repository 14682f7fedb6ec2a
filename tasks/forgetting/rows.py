"""Rows of Prefect's and MLflow's databases that quote a file: a log's line, a tag, a description."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tasks.engine.workspace import Workspace
from tasks.forgetting.quotes import Quotes

FORGOTTEN = "(forgotten)"
"""What stands there afterwards."""
PATIENCE = 20.0
"""Seconds for which another writer is waited for."""


def quoting_databases(workspace: Workspace, quotes: Quotes) -> Iterator[Path]:
    """Those of which any row does."""
    for path in (workspace.root / "mlflow.db", workspace.private / "prefect" / "prefect.db"):
        if quotes and path.is_file():
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=PATIENCE)) as database:
                if next(_quoting(database, quotes), None):
                    yield path


def blot_out(path: Path, quotes: Quotes) -> int:
    """Overwrite the texts that quote it, in the file's free pages as well; how many there were.

    Raises:
        sqlite3.OperationalError: somebody else is writing all the time.
    """
    with closing(sqlite3.connect(path, timeout=PATIENCE)) as database:
        database.execute("PRAGMA secure_delete = ON")
        found = list(_quoting(database, quotes))
        with database:
            for table, column, row, text in found:
                new = json.dumps(FORGOTTEN) if _is_json(text) else FORGOTTEN
                database.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', (new, row))
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return len(found)


def _quoting(database: sqlite3.Connection, quotes: Quotes) -> Iterator[tuple[str, str, int, str]]:
    """(table, column, row id, text) of each text that does."""
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%WITHOUT ROWID%'"
    for (table,) in database.execute(tables).fetchall():
        if table.startswith("sqlite_"):
            continue
        columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
        for row_id, *values in database.execute(f'SELECT rowid, * FROM "{table}"'):
            for column, value in zip(columns, values, strict=True):
                if (text := _text(value)) and quotes.are_in_text(text):
                    yield table, column, row_id, text


def _text(value: Any) -> str | None:
    """What a cell says; JSON without its escapes."""
    if not isinstance(value, str) or len(value) < 8:
        return None
    return value.replace("\\n", " ").replace('\\"', '"') if "\\" in value else value


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
