"""What MLflow's books say of reuse: the keys of the products that each run took as they stood."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tasks.tracking.store import reading, unreadable

TAGS = """
SELECT r.run_uuid AS run, r.end_time AS ended, t.key AS tag, t.value AS value FROM runs AS r
JOIN tags AS t ON t.run_uuid = r.run_uuid
WHERE r.lifecycle_stage = 'active' AND (t.key IN ('lm.run', 'lm.flow') OR t.key LIKE 'lm.key.%')
AND r.run_uuid NOT IN (SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId') ORDER BY r.start_time
"""
KEY = "lm.key."


class Reuse(NamedTuple):
    """One run of a flow."""

    run: str
    flow: str
    experiment: str
    when: str
    """UTC, ISO 8601; empty while it goes on."""
    keys: list[str]
    """Of the products that it reused."""


def reuse_by_run(workspace: Path) -> list[Reuse]:
    """Every flow run in the books, oldest first; none where there are no books.

    Raises:
        TrackingError: the database does not read.
    """
    with reading(workspace) as connection:
        if connection is None:
            return []
        try:
            rows = connection.execute(TAGS).fetchall()
        except sqlite3.DatabaseError as error:
            raise unreadable(workspace, error) from None
    tags: dict[str, dict[str, str]] = {}
    ended: dict[str, str] = {}
    for row in rows:
        tags.setdefault(row["run"], {})[row["tag"]] = row["value"]
        ended[row["run"]] = _when(row["ended"])
    return [_reuse(run, tags[run], ended[run]) for run in tags if "lm.run" in tags[run]]


def _reuse(run: str, tags: dict[str, str], when: str) -> Reuse:
    experiment, _, number = tags["lm.run"].rpartition(" ")
    keys = [value for tag, value in tags.items() if tag.startswith(KEY)]
    return Reuse(number or run, tags.get("lm.flow", ""), experiment, when, keys)


def _when(milliseconds: int | None) -> str:
    if not milliseconds:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
