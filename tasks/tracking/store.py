"""The workspace's MLflow store: one SQLite file and one artifact folder, made once and movable.

MLflow writes absolute artifact addresses into its database. The Default experiment remembers the folder that
they were written for; when the workspace stands elsewhere now, all are rewritten in one transaction.
Nothing here imports MLflow before `open_store` is called.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import uuid
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tasks.engine.locks import lock

if TYPE_CHECKING:
    from mlflow import MlflowClient

ADDRESSES = (  # every column in which MLflow keeps an absolute address
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
NOISY_LOGGERS = ("mlflow", "alembic", "git")
_open_lock = threading.Lock()
_quiet_lock = threading.RLock()
_clients: dict[Path, tuple[int, MlflowClient]] = {}


class TrackingError(ValueError):
    """MLflow's store cannot be used as it is; the text is one line with the cure."""


def database_of(workspace: Path) -> Path:
    """The SQLite file of the workspace's store."""
    return workspace.resolve() / "mlflow.db"


def artifacts_of(workspace: Path) -> Path:
    """The folder below which all of the store's artifacts lie."""
    return workspace.resolve() / "mlartifacts"


def tracking_uri(workspace: Path) -> str:
    """What to set MLFLOW_TRACKING_URI to, to see this workspace's runs and models."""
    return f"sqlite:///{database_of(workspace)}"


def open_store(workspace: Path) -> MlflowClient:
    """A client of the workspace's store, which is made or relocated where needed; cheap when called again.

    Safe from any number of threads and processes at once, on first use too: who comes second waits.

    Raises:
        TrackingError: the database was written by another version of MLflow, or is damaged.
    """
    workspace = workspace.resolve()
    database = database_of(workspace)
    with _open_lock:
        known = _clients.get(workspace)
        if known and database.exists() and known[0] == database.stat().st_ino:
            return known[1]
        if known:
            _disconnect(tracking_uri(workspace))
        with lock(workspace / ".lm" / "tracking.lock"):
            client = _connect(workspace)
        _clients[workspace] = (database.stat().st_ino, client)
        return client


def _connect(workspace: Path) -> MlflowClient:
    _refuse_odd_paths(workspace)
    with quiet():
        if not database_of(workspace).exists():
            _create(workspace)
        relocate(workspace)
        return _client(tracking_uri(workspace))


def _disconnect(uri: str) -> None:
    """Close what MLflow keeps open to a database that was moved away: it would go on writing there."""
    from mlflow.store.model_registry import sqlalchemy_store as registry
    from mlflow.store.tracking import sqlalchemy_store as tracking

    for store in (registry.SqlAlchemyStore, tracking.SqlAlchemyStore):
        if engine := getattr(store, "_engine_map", {}).get(uri):
            engine.dispose()


def _client(uri: str) -> MlflowClient:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_registered_models(max_results=1)  # so that no thread is the first to open the registry
    except MlflowException as error:
        if "mlflow db upgrade" in str(error):
            raise TrackingError(
                f"{uri} was written by another version of MLflow; keep a copy of the file, "
                f"then run: mlflow db upgrade {uri}"
            ) from None
        raise TrackingError(f"{uri} cannot be read as MLflow's database: {_first_line(error)}") from error
    return client


def _refuse_odd_paths(workspace: Path) -> None:
    odd = sorted(set(str(workspace)) & set("?%#"))
    if odd:
        raise TrackingError(
            f"MLflow cannot address a path with {' '.join(odd)} in it: {workspace}; rename it"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Import MLflow and keep it still: no telemetry, no migration log, no warnings that only it can mend.

    Errors still raise. Filters of warnings belong to the process, so two threads take turns.
    """
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow  # noqa: F401  sets up its loggers, which are silenced only now

        for name in NOISY_LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        yield


def _create(workspace: Path) -> None:
    """Make the database beside its place and move it there whole: a kill leaves none, not half of one."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    # A name of its own: MLflow keeps a connection to every address that it has seen in this process.
    scratch = workspace / ".lm" / f"mlflow-{uuid.uuid4().hex}.db"
    for leftover in scratch.parent.glob("mlflow-*.db*"):
        leftover.unlink()
    make_store: Any = SqlAlchemyStore
    store = make_store(f"sqlite:///{scratch}", str(artifacts_of(workspace)))
    store.engine.dispose()
    with closing(sqlite3.connect(scratch)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # readers, such as the UI, and a writer do not wait
    scratch.rename(database_of(workspace))


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]


def relocate(workspace: Path) -> bool:
    """Point all artifact addresses at where the workspace stands now; True if it had moved.

    Needs no MLflow. A copied workspace counts as moved: its addresses then name its own artifacts.
    """
    root = artifacts_of(workspace)
    with writing(workspace) as connection:
        old = written_for(connection)
        if old is None or old == root:
            return False
        for table, column in ADDRESSES:
            # Only whole path prefixes, and never by LIKE, to which `_` in a folder's name is a joker.
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                (f"{root}/", len(f"{old}/") + 1, len(f"{old}/"), f"{old}/"),
            )
    return True


def written_for(connection: sqlite3.Connection) -> Path | None:
    """The artifact folder that the addresses in a database were written for."""
    with suppress(sqlite3.OperationalError):
        query = "SELECT artifact_location FROM experiments WHERE experiment_id = 0"
        row = connection.execute(query).fetchone()
        return Path(row[0]).parent if row else None
    return None


@contextmanager
def writing(workspace: Path) -> Iterator[sqlite3.Connection]:
    """One transaction on the store, for the few things that MLflow's client cannot do."""
    with closing(sqlite3.connect(database_of(workspace), timeout=60)) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


@contextmanager
def reading(workspace: Path) -> Iterator[sqlite3.Connection | None]:
    """A read-only look into the store without importing MLflow; None where there is no store yet."""
    database = database_of(workspace)
    if not database.exists():
        yield None
        return
    uri = f"file:{quote(str(database))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=60)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def unreadable(workspace: Path, error: Exception) -> TrackingError:
    """The error for a database that does not read, with the cure."""
    cure = "lm doctor --fix moves it away and registers models again"
    return TrackingError(f"cannot read {database_of(workspace)}: {error}; {cure}")
