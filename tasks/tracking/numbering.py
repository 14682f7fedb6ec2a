"""Making a version in the registry, under the number that the journal knows it by.

A number always means the same bytes: a registry that was lost, or another clone of the workspace, gives a
product the number that it had. Linking the version to its model comes last; before, it is not there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.tracking.journal import Journal
from tasks.tracking.moves import restore
from tasks.tracking.names import legal_name
from tasks.tracking.standing import standing
from tasks.tracking.store import writing
from tasks.tracking.versions import Registered, numbers_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

MODEL = "lm.model"
"""Tag of a version: the LoggedModel that its link is to lead to."""
OF_VERSIONS = ("model_versions", "model_version_tags", "registered_model_aliases")
"""Every table in which MLflow keeps a version's number."""


def create_version(
    client: MlflowClient,
    name: str,
    model: LoggedModel,
    run_id: str | None,
    tags: Mapping[str, Any],
    description: str | None,
) -> None:
    """Make a version of a stored model; `settle_version` has to follow."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    client.create_model_version(
        name,
        source=model.artifact_location,
        run_id=run_id,
        tags={legal_name(tag): str(value) for tag, value in {**tags, MODEL: model.model_id}.items()},
        description=description,
        await_creation_for=0,  # a local registry has made it when it answers
    )


def settle_version(workspace: Path, client: MlflowClient, version: Registered, number: int | None) -> None:
    """Give a new version its number, the aliases that the journal says it has, and its links.

    Under the registry's lock; may be done any number of times.

    Args:
        number: what it was before the registry lost it, should the journal not know.
    """
    model_id = version.tags.get(MODEL)
    if version.model_id or not model_id:  # it is settled, or not one of ours
        return
    right = _right_number(workspace, version, number)
    if right != version.version:
        with writing(workspace) as connection:
            for table in OF_VERSIONS:
                connection.execute(
                    f"UPDATE {table} SET version = ? WHERE name = ? AND version = ?",
                    (right, version.name, version.version),
                )
    restore(workspace, version.name, right)
    # The link from the model's page to the version's, as MLflow's own `register_model` sets it.
    shown = json.loads(client.get_logged_model(model_id).tags.get("mlflow.modelVersions") or "[]")
    link = {"name": version.name, "version": right}
    if link not in shown:
        client.set_logged_model_tags(model_id, {"mlflow.modelVersions": json.dumps([*shown, link])})
    # And the link back. MLflow looks a source `models:/m-...` up in the process's default store, which may be
    # another workspace's; so it is set here.
    with writing(workspace) as connection:
        connection.execute(
            "UPDATE model_versions SET source = ? WHERE name = ? AND version = ?",
            (f"models:/{model_id}", version.name, right),
        )


def _right_number(workspace: Path, version: Registered, hint: int | None) -> int:
    """The number that a product had before, if nobody else has it now; else the next one."""
    known = standing(Journal(workspace, version.name).entries())
    rows = numbers_of(workspace, version.name).keys() - {version.version}
    before = known.version_of(version.digest or "")
    if before and before not in rows:
        return before
    taken = rows | known.digests.keys()
    return hint if hint and hint not in taken else max(taken, default=0) + 1
