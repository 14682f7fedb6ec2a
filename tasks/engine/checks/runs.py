"""Runs that are said to go on: Prefect and MLflow cannot know that a `kill -9` ended their process."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial

from tasks.engine.checks.databases import opens, read_only
from tasks.engine.checks.finding import Finding
from tasks.engine.prefect_api import WORKED_ON, PrefectApi, crash_orphans, is_orphan
from tasks.engine.server import prefect_server, server_is_gone
from tasks.engine.workspace import Workspace
from tasks.tracking.processes import close_orphans, orphans


def prefect_runs(workspace: Workspace, _: bool) -> Iterator[Finding]:
    """Reads the database: the server need not be up."""
    path = opens(workspace, "prefect")
    if path is None:
        return
    marks = ", ".join("?" * len(WORKED_ON))
    query = (
        f"SELECT name, state_type, labels, updated FROM flow_run WHERE state_type IN ({marks}) ORDER BY name"
    )
    with closing(read_only(path)) as connection:
        try:
            rows = connection.execute(query, WORKED_ON).fetchall()
        except sqlite3.OperationalError:  # a database without tables has no runs
            return
    mend = partial(_crash, workspace)
    for name, state, labels, updated in rows:
        if is_orphan({"labels": json.loads(labels or "{}"), "updated": f"{updated}+00:00"}):
            what = f"Prefect's run '{name}' is said to be {state.lower()}, but its process is gone"
            yield Finding(what, "the next run marks it as crashed", mend)


def mlflow_runs(workspace: Workspace, _: bool) -> Iterator[Finding]:
    if opens(workspace, "mlflow") is None:
        return
    mend = partial(_close, workspace)
    for run_id, name in orphans(workspace.root).items():
        what = f"MLflow's run '{name}' ({run_id[:8]}) is said to be running, but its process is gone"
        yield Finding(what, "the next run closes it as killed", mend)


def server(workspace: Workspace, _: bool) -> Iterator[Finding]:
    """Where Prefect's server was said to listen before it was killed."""
    note = workspace.private / "prefect" / "server.json"
    if note.exists() and server_is_gone(workspace):
        what = f"{workspace.address(note)} names a Prefect server that is gone"
        yield Finding(what, "the next run starts another", partial(_forget_server, workspace))


def _crash(workspace: Workspace) -> None:
    with prefect_server(workspace) as url:
        crash_orphans(PrefectApi(url))


def _close(workspace: Workspace) -> None:
    close_orphans(workspace.root)


def _forget_server(workspace: Workspace) -> None:
    if server_is_gone(workspace):
        (workspace.private / "prefect" / "server.json").unlink(missing_ok=True)
