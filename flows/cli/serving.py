"""`lm up`: the pages of Prefect and MLflow over this workspace, on this machine only."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request

from lmcore.config import SettingsError
from tasks.engine.server import port_is_free, prefect_server, running_server
from tasks.engine.workspace import Workspace, find_workspace
from tasks.subprocesses import die_with_parent, stop

STARTUP_SECONDS = 120


def up_command(prefect_port: int, mlflow_port: int) -> None:
    workspace = find_workspace()
    if not port_is_free(mlflow_port):
        raise SettingsError(
            f"port {mlflow_port} is taken by another program; choose one: lm up --mlflow-port 5001"
        )
    if not port_is_free(prefect_port) and running_server(workspace) is None:
        raise SettingsError(
            f"port {prefect_port} is taken by another program; choose one: lm up --prefect-port 4201"
        )
    print("starting Prefect and MLflow ...", flush=True)
    with prefect_server(workspace, prefect_port) as api:
        mlflow = _start_mlflow(workspace, mlflow_port)
        try:
            _wait(mlflow, f"http://127.0.0.1:{mlflow_port}/health")
            pages = {
                f"{api.removesuffix('/api')}/runs": "flow runs, their tasks and logs",
                f"http://127.0.0.1:{mlflow_port}/#/models": "models, scores, plots, lineage",
            }
            for address, purpose in pages.items():
                print(f"  {address:<34}  {purpose}")
            print("Ctrl-C stops both", flush=True)
            mlflow.wait()
        except KeyboardInterrupt:
            print("stopped")
        finally:
            stop(mlflow, patience=15)


def _start_mlflow(workspace: Workspace, port: int) -> subprocess.Popen[bytes]:
    from tasks.tracking.processes import close_orphans
    from tasks.tracking.store import artifacts_of, open_store, tracking_uri

    open_store(workspace.root)
    close_orphans(workspace.root)
    log = workspace.private / "mlflow-server.log"
    # One worker and no job runner: two processes instead of fifteen.
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", tracking_uri(workspace.root),
        "--artifacts-destination", str(artifacts_of(workspace.root)),
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with log.open("wb") as out:
        return subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    raise SettingsError("MLflow's server did not start; its log is .lm/mlflow-server.log")
