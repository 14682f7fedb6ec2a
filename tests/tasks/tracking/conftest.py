"""A registry of versions without any model's files."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tasks.tracking import open_store, promote, versions
from tasks.tracking.moves import enlist


def _add(workspace: Path, number: int, alias: str | None = "challenger") -> None:
    """A version as `register` leaves it, without a model's files."""
    client = open_store(workspace)
    home = workspace / "mlartifacts" / f"m-{number}"
    (home / "artifacts").mkdir(parents=True)
    if not versions(workspace, "tiny"):
        client.create_registered_model("tiny")
    tags = {"lm.digest": f"d{number}", "lm.key": f"k{number}"}
    made = client.create_model_version("tiny", source=str(home), tags=tags, await_creation_for=0)
    assert int(made.version) == number
    with closing(sqlite3.connect(workspace / "mlflow.db")) as connection, connection:
        query = "UPDATE model_versions SET source = ? WHERE version = ?"
        connection.execute(query, (f"models:/m-{number}", number))
    if alias:
        enlist(workspace, "tiny", number, alias)


def _make_three(workspace: Path) -> Path:
    for number in (1, 2, 3):
        _add(workspace, number)
        if number == 2:
            promote(workspace, "tiny", 2, expected_champion=1, why="better")
    return workspace


def _forget(workspace: Path, *numbers: int, but: tuple[str, ...] = ()) -> None:
    """As if the registry had never had these versions: no row is left, not even of a deleted one."""
    tables = {"registered_model_aliases", "model_version_tags", "model_versions"}
    places = ", ".join(map(str, numbers))
    with closing(sqlite3.connect(workspace / "mlflow.db")) as connection, connection:
        for table in sorted(tables - {*but}):
            connection.execute(f"DELETE FROM {table} WHERE version IN ({places})")


@pytest.fixture(scope="session")
def add() -> Callable[..., None]:
    """Adds a version: `add(workspace, number, alias="challenger")`."""
    return _add


@pytest.fixture(scope="session")
def forget() -> Callable[..., None]:
    """Takes versions away without a trace: `forget(workspace, *numbers, but=(tables,))`."""
    return _forget


@pytest.fixture(scope="session")
def make_three() -> Callable[[Path], Path]:
    """In a workspace with an empty store: v1 was champion, v2 is it, v3 is its challenger."""
    return _make_three


@pytest.fixture
def three(workspace: Path) -> Path:
    """v1 was champion, v2 is it, v3 is its challenger."""
    return _make_three(workspace)
