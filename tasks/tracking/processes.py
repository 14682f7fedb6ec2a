"""Who made a run, and whether that process still lives; runs whose process is gone are closed."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tasks.tracking.store import open_store, reading, unreadable

RUNNING = """
SELECT runs.run_uuid AS run_id, runs.name AS title, tags.key AS name, tags.value AS value
FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid
WHERE runs.status = 'RUNNING' AND runs.lifecycle_stage = 'active'
  AND tags.key IN ('lm.pid', 'lm.host', 'lm.boot_id', 'lm.process_start')
"""
LAST_SIGN = """
SELECT max(start_time, coalesce((SELECT max(timestamp) FROM metrics WHERE run_uuid = ?1), 0))
FROM runs WHERE run_uuid = ?1
"""
PENDING_MODELS = "SELECT model_id FROM logged_models WHERE source_run_id = ? AND status = 1"


def identity() -> dict[str, str]:
    """Tags that name this process among all that ever ran: a pid is used again, its start time is not."""
    return {
        "lm.pid": str(os.getpid()),
        "lm.host": socket.gethostname(),
        "lm.boot_id": boot_id(),
        "lm.process_start": process_start(os.getpid()) or "",
    }


@cache
def boot_id() -> str:
    """The kernel's name for its time since start-up; empty on systems that have none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def process_start(pid: int) -> str | None:
    """When a process began, in kernel ticks; empty where the system does not tell, None if it is gone."""
    try:
        # The command's name, in brackets, may hold spaces and brackets itself: count from the last one.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self/stat").exists() or not _exists(pid) else ""
    return None if fields[0] == "Z" else fields[19]


def close_orphans(workspace: Path) -> list[str]:
    """End as KILLED, at their last sign of life, runs whose process is gone; returns their ids.

    Runs of other machines are left alone: from here nobody can tell. Reads the database, and imports MLflow
    only when there is something to close.
    """
    dead = list(orphans(workspace))
    if not dead:
        return []
    client = open_store(workspace)
    for run_id in dead:
        with reading(workspace) as connection:
            assert connection
            last_sign = connection.execute(LAST_SIGN, (run_id,)).fetchone()[0]
            pending = [row["model_id"] for row in connection.execute(PENDING_MODELS, (run_id,))]
        for model_id in pending:
            client.finalize_logged_model(model_id, "FAILED")
        client.set_terminated(run_id, "KILLED", end_time=last_sign)
    return dead


def orphans(workspace: Path) -> dict[str, str]:
    """Id and name of each run that is said to be going on, and whose process is gone."""
    with reading(workspace) as connection:
        if connection is None:
            return {}
        try:
            rows = connection.execute(RUNNING).fetchall()
        except sqlite3.OperationalError:  # a database without these tables has no runs
            return {}
        except sqlite3.DatabaseError as error:
            raise unreadable(workspace, error) from None
    tags: dict[str, dict[str, str]] = {}
    for row in rows:
        tags.setdefault(row["run_id"], {})[row["name"]] = row["value"]
    titles = {row["run_id"]: str(row["title"]) for row in rows}
    return {run_id: titles[run_id] for run_id, who in sorted(tags.items()) if _is_dead(who)}


def _is_dead(who: Mapping[str, str]) -> bool:
    if who.get("lm.host") != socket.gethostname() or "lm.pid" not in who:
        return False
    if who.get("lm.boot_id", "") != boot_id():
        return True
    start = process_start(int(who["lm.pid"]))
    return start is None or start != who.get("lm.process_start", "")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
