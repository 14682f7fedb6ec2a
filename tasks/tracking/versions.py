"""Looking things up by reading MLflow's database: a millisecond, and MLflow is not imported."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.tracking.store import artifacts_of, reading, unreadable, written_for

VERSIONS = """
SELECT name, version, run_id, source, storage_location FROM model_versions AS v
WHERE current_stage IS NOT 'Deleted_Internal' AND {condition} ORDER BY name, version
"""
HAS_TAG = """
EXISTS (SELECT 1 FROM model_version_tags AS t
        WHERE t.name = v.name AND t.version = v.version AND t.key = 'lm.key' AND t.value = ?)
"""
MODELS = """
SELECT m.model_id FROM logged_models AS m JOIN logged_model_tags AS t ON t.model_id = m.model_id
WHERE t.tag_key = 'lm.key' AND t.tag_value = ? AND m.lifecycle_stage = 'active' AND m.status = 2
ORDER BY m.creation_timestamp_ms DESC, m.model_id LIMIT 1
"""  # status 2 is READY
NUMBERS = """
SELECT v.version, v.source, t.value AS digest, v.current_stage IS 'Deleted_Internal' AS is_deleted
FROM model_versions AS v LEFT JOIN model_version_tags AS t
ON t.name = v.name AND t.version = v.version AND t.key = 'lm.digest' WHERE v.name = ? ORDER BY v.version
"""


FORGOTTEN_TAG = "lm.forgotten"
"""When, by whom and why what a version saw was forgotten since."""
LICENCE_TAG = "lm.licence"
"""Under which licence a version's weights are passed on."""


@dataclass(frozen=True)
class Registered:
    """One version in the registry."""

    name: str
    version: int
    run_id: str | None
    """The run that made the product."""
    model_id: str | None
    """The LoggedModel that carries its metrics."""
    home: Path
    """Where the registry keeps all that belongs to the version: lineage, what it saw, code that runs it."""
    folder: Path
    """Its copy of the product's folder, inside `home`."""
    aliases: tuple[str, ...]
    tags: dict[str, str] = field(hash=False)

    @property
    def key(self) -> str | None:
        """The product's key."""
        return self.tags.get("lm.key")

    @property
    def digest(self) -> str | None:
        """The product's content digest."""
        return self.tags.get("lm.digest")

    @property
    def data(self) -> str | None:
        """Digest of the set of documents, and own conversations, that it was trained and measured on."""
        return self.tags.get("lm.data")

    @property
    def scores(self) -> dict[str, float]:
        """Its own numbers on the test side."""
        return {name: float(value) for name, value in self.tags.items() if name.startswith("test/")}

    @property
    def forgotten(self) -> str:
        """When, by whom and why something that it saw was forgotten since; empty if nothing was."""
        return self.tags.get(FORGOTTEN_TAG, "")

    @property
    def licence(self) -> str:
        """Under which licence its weights are passed on; empty if nobody has said."""
        return self.tags.get(LICENCE_TAG, "")

    @property
    def uri(self) -> str:
        """What `mlflow.pyfunc.load_model` takes."""
        return f"models:/{self.name}/{self.version}"


def registered(workspace: Path, name: str, which: str | int) -> Registered | None:
    """The version that an alias, or a number (`3`, `"v3"`), names; None if there is none."""
    number = str(which).removeprefix("v")
    for found in versions(workspace, name):
        if str(found.version) == number or which in found.aliases:
            return found
    return None


def versions(workspace: Path, name: str | None = None) -> list[Registered]:
    """All versions of a model, or of all models, oldest first."""
    return _look(workspace, "name = ?", [name]) if name else _look(workspace, "true", [])


def find_copy(workspace: Path, product_key: str) -> Path | None:
    """The registry's copy of a product, if a version of it is registered and its folder is there."""
    found = _look(workspace, HAS_TAG, [product_key])
    return next((version.folder for version in found if version.folder.is_dir()), None)


def find_model(workspace: Path, product_key: str) -> str | None:
    """The id of the LoggedModel that stands for a product, the newest if there are several."""
    with reading(workspace) as connection:
        row = connection.execute(MODELS, [product_key]).fetchone() if connection else None
    return row["model_id"] if row else None


def numbers_of(workspace: Path, name: str, *, settled: bool = False) -> dict[int, str]:
    """Number -> content digest ("" if unknown) of every version that ever was, deleted ones as well.

    Args:
        settled: leave out what a kill has left in the middle of its registration.
    """
    rows = _rows(workspace, NUMBERS, name)
    if settled:
        rows = [row for row in rows if row["is_deleted"] or not row["digest"] or _is_linked(row["source"])]
    return {int(row["version"]): row["digest"] or "" for row in rows}


def aliases_of(workspace: Path, name: str) -> dict[str, int]:
    """Alias -> version, also of aliases whose version is gone."""
    query = "SELECT alias, version FROM registered_model_aliases WHERE name = ? ORDER BY alias"
    return {row["alias"]: int(row["version"]) for row in _rows(workspace, query, name)}


def all_aliases(workspace: Path) -> list[tuple[str, str, int]]:
    """(model, alias, version) of every alias, also of those whose version is gone."""
    query = "SELECT name, alias, version FROM registered_model_aliases ORDER BY name, alias"
    return [(row["name"], row["alias"], int(row["version"])) for row in _rows(workspace, query)]


def best_name(workspace: Path, name: str, digest: str) -> str | None:
    """What a product is found by now: `demo@champion`, else another alias of it, else `demo@v3`."""
    found = next((version for version in versions(workspace, name) if version.digest == digest), None)
    if found is None:
        return None
    which = "champion" if "champion" in found.aliases else (*found.aliases, f"v{found.version}")[0]
    return f"{name}@{which}"


def _rows(workspace: Path, query: str, *arguments: str) -> list[sqlite3.Row]:
    with reading(workspace) as connection:
        if connection is None:
            return []
        try:
            return connection.execute(query, arguments).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # then there is no registry yet
                return []
            raise unreadable(workspace, error) from None
        except sqlite3.DatabaseError as error:
            raise unreadable(workspace, error) from None


def _is_linked(source: str | None) -> bool:
    """Whether a version leads to its LoggedModel: the last thing that its registration sets."""
    return (source or "").startswith("models:/m-")


def _look(workspace: Path, condition: str, arguments: Sequence[str]) -> list[Registered]:
    with reading(workspace) as connection:
        if connection is None:
            return []
        try:
            rows = connection.execute(VERSIONS.format(condition=condition), arguments).fetchall()
        except sqlite3.DatabaseError as error:
            raise unreadable(workspace, error) from None
        return [_version(workspace, connection, row) for row in rows]


def _version(workspace: Path, connection: sqlite3.Connection, row: sqlite3.Row) -> Registered:
    def rows_of(table: str, columns: str) -> list[sqlite3.Row]:
        named = (row["name"], row["version"])
        query = f"SELECT {columns} FROM {table} WHERE name = ? AND version = ?"
        return connection.execute(query, named).fetchall()

    tags = {tag["key"]: tag["value"] for tag in rows_of("model_version_tags", "key, value")}
    home, written = Path(row["storage_location"] or row["source"]), written_for(connection)
    if written and home.is_relative_to(
        written
    ):  # the workspace may have moved since the store was last opened
        home = artifacts_of(workspace) / home.relative_to(written)
    return Registered(
        name=row["name"],
        version=int(row["version"]),
        run_id=row["run_id"],
        model_id=row["source"].removeprefix("models:/") if _is_linked(row["source"]) else None,
        home=home,
        folder=home / tags.get("lm.copy", "artifacts"),
        aliases=tuple(sorted(alias["alias"] for alias in rows_of("registered_model_aliases", "alias"))),
        tags=tags,
    )
