"""Prefect's and MLflow's databases: whether they open, and whether these versions of both can read them."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from tasks.engine.checks.finding import Finding
from tasks.engine.leftovers import is_running
from tasks.engine.workspace import Workspace

FULL_CHECK = 1e8
"""Bytes up to which every page is read each time; larger databases only where asked for."""
PATIENCE_SECONDS = 10.0
"""For a writer that keeps a database to itself."""
_PLACES = {"mlflow": "store/db_migrations/versions", "prefect": "server/database/_migrations/versions/sqlite"}
_REVISION = re.compile(r"^revision\b[^=\n]*=\s*[\"'](\w+)[\"']", re.MULTILINE)
_EARLIER = re.compile(r"^down_revision\b[^=\n]*=\s*(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Database:
    """One SQLite file, and the library that writes it."""

    library: str
    title: str
    path: Path
    loss: str
    """What a new one would lack."""


def all_databases(workspace: Workspace) -> list[Database]:
    return [
        Database("mlflow", "MLflow's database", workspace.root / "mlflow.db",
                 "runs so far; models are registered again, from their products"),
        Database("prefect", "Prefect's database", workspace.private / "prefect" / "prefect.db",
                 "what Prefect's pages tell of past runs"),
    ]  # fmt: skip


def databases(workspace: Workspace, is_thorough: bool) -> Iterator[Finding]:
    for database in all_databases(workspace):
        if not database.path.is_file():
            continue
        where = workspace.address(database.path)
        if fault := fault_of(database.path, is_thorough):
            cure = f"move {where} away; what is lost: {database.loss}"
            yield Finding(
                f"{database.title} is damaged: {fault}", cure, partial(_move_away, workspace, database)
            )
        else:
            yield from _versions(workspace, database)


def opens(workspace: Workspace, library: str) -> Path | None:
    """A database that is there and can be read now."""
    (database,) = (each for each in all_databases(workspace) if each.library == library)
    return database.path if database.path.is_file() and _state(database.path, False) == "ok" else None


def read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=PATIENCE_SECONDS)


def fault_of(path: Path, is_thorough: bool) -> str | None:
    """What SQLite finds wrong with a file; None if nothing, or if a writer keeps it to itself."""
    state = _state(path, is_thorough)
    return None if state in ("ok", "busy") else state


def _state(path: Path, is_thorough: bool) -> str:
    stat = path.stat()
    kind = "integrity_check" if is_thorough or stat.st_size < FULL_CHECK else "quick_check"
    return _answer(path, kind, (stat.st_ino, stat.st_size, stat.st_mtime_ns))


@lru_cache(maxsize=8)
def _answer(path: Path, kind: str, _: tuple[int, ...]) -> str:
    """Asked once for a file that does not change: several checks want to know."""
    try:
        with closing(read_only(path)) as connection:
            return str(connection.execute(f"PRAGMA {kind}(1)").fetchone()[0]).splitlines()[-1]
    except sqlite3.DatabaseError as error:
        return "busy" if "locked" in str(error) else str(error)


def _versions(workspace: Workspace, database: Database) -> Iterator[Finding]:
    """A database knows the last migration that it went through, a library those that there are."""
    with closing(read_only(database.path)) as connection:
        try:
            found = {row[0] for row in connection.execute("SELECT version_num FROM alembic_version")}
        except sqlite3.OperationalError:
            return
    known, heads = revisions(database.library)
    if not known or found <= heads:
        return
    where = workspace.address(database.path)
    if not found <= known:
        cure = f"install the version that wrote it (or a newer one), or move {where} away"
        yield Finding(f"{database.title} was written by a newer version of {database.library}", cure)
    elif database.library == "mlflow":  # Prefect's server brings its own up to date
        cure = f"mlflow db upgrade sqlite:///{where} (keep a copy of it)"
        yield Finding(
            f"{database.title} was written by an older version", cure, partial(_upgrade, workspace, database)
        )


def revisions(library: str) -> tuple[set[str], set[str]]:
    """All migrations that a library knows, and the last ones, without importing it."""
    spec = find_spec(library)
    roots = (spec.submodule_search_locations if spec else None) or []
    texts = [file.read_text("utf-8") for root in roots for file in Path(root, _PLACES[library]).glob("*.py")]
    known = {name for text in texts for name in _REVISION.findall(text)}
    earlier = {name for text in texts for line in _EARLIER.findall(text) for name in re.findall(r"\w+", line)}
    return known, known - earlier


def _move_away(workspace: Workspace, database: Database) -> None:
    if database.library == "prefect" and is_running(workspace):
        raise RuntimeError("a run, or lm up, is going on; end it first")
    aside = workspace.private / "aside" / f"{database.path.name}.{time.time_ns()}"
    aside.mkdir(parents=True)
    for ending in ("", "-wal", "-shm"):
        file = database.path.with_name(database.path.name + ending)
        if file.exists():
            shutil.move(file, aside / file.name)


def _upgrade(workspace: Workspace, database: Database) -> None:
    aside = workspace.private / "aside" / f"{database.path.name}.{time.time_ns()}"
    aside.mkdir(parents=True)
    with (
        closing(read_only(database.path)) as old,
        closing(sqlite3.connect(aside / database.path.name)) as copy,
    ):
        old.backup(copy)
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{database.path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "Error" in line]
        raise RuntimeError((lines or ["mlflow db upgrade failed"])[-1])
