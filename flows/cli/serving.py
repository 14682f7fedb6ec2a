"""`lm up` and `lm down`: the pages of Prefect and MLflow over this workspace, on this machine only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flows.cli.offering import REPORT, read_report
from lmcore.config import SettingsError
from tasks.engine.locks import is_held, lock
from tasks.engine.prefect_api import UNDER_WAY, NoAnswer, PrefectApi, Refused
from tasks.engine.server import (
    NoServer,
    answers,
    port_is_free,
    prefect_environment,
    running_server,
    server_is_gone,
)
from tasks.engine.supervisor import Service, Supervisor, home_of, is_up, read_state
from tasks.engine.workspace import Workspace, find_workspace
from tasks.words import count

PATIENCE_SECONDS = 150
"""For the servers to stop; longer than any of them may take."""
LAST_USER_SECONDS = 30


def up_command(prefect_port: int, mlflow_port: int, foreground: bool) -> None:
    workspace = find_workspace()
    with lock(home_of(workspace) / "start.lock"):
        if is_up(workspace):
            print("up already:")
            _show_pages(_await_ready(workspace, None))
            return
        _check_ports(workspace, prefect_port, mlflow_port)
        if not foreground:
            print("starting Prefect, MLflow and the flows; some twenty seconds ...", flush=True)
            _show_pages(_await_ready(workspace, _start(workspace, prefect_port, mlflow_port)))
            print("`lm status` tells what runs, `lm down` stops all of it")
            return
    print("starting Prefect, MLflow and the flows; Ctrl-C stops all of it ...", flush=True)
    was_alone = _supervise(workspace, prefect_port, mlflow_port, foreground=True)
    print("stopped" if was_alone else "up already")


def down_command() -> None:
    workspace = find_workspace()
    state = read_state(workspace)
    if not state:
        print("nothing is up")
        return
    names = [run["name"] for run in _runs_under_way(state)]
    if names:
        told = f"{count(len(names), 'run')} in progress, which may save its state first: {', '.join(names)}"
        print(f"stopping {told}", flush=True)
    else:
        print("stopping ...", flush=True)
    until = time.monotonic() + PATIENCE_SECONDS
    with suppress(ProcessLookupError):
        os.kill(state["pid"], signal.SIGTERM)
        while is_up(workspace):
            if time.monotonic() > until:
                os.kill(state["pid"], signal.SIGKILL)  # the guards end what it leaves
            time.sleep(0.2)
    print(f"stopped{_last_user(workspace, state.get('prefect', ''))}")


def pages(state: Mapping[str, Any]) -> dict[str, str]:
    """Addresses for a browser, and what is there."""
    return {
        f"{PrefectApi(state['prefect']).pages}/deployments": "flows: start one, see its runs and logs",
        f"{state['mlflow']}/#/models": "models, scores, plots, lineage",
    }


def _show_pages(state: Mapping[str, Any]) -> None:
    found = pages(state)
    width = max(map(len, found))
    for address, purpose in found.items():
        print(f"  {address:<{width}}  {purpose}")
    offered = state["offered"]
    if number := len({name for names in offered["flows"].values() for name in names}):
        flows = count(len(offered["flows"]), "flow")
        print(f"  {flows} over {count(number, 'experiment')} can be started there")
    else:
        print("  no experiment can be started yet; one that you write shows there within seconds")
    for problem in offered["problems"].values():
        print(f"  left out: {problem}")
    sys.stdout.flush()


def _check_ports(workspace: Workspace, prefect_port: int, mlflow_port: int) -> None:
    if prefect_port == mlflow_port:
        raise SettingsError(
            f"Prefect and MLflow cannot both have port {mlflow_port}; give each one of its own"
        )
    if not port_is_free(mlflow_port):
        raise SettingsError(
            f"port {mlflow_port} is taken by another program; choose one: lm up --mlflow-port 5001"
        )
    if not port_is_free(prefect_port) and running_server(workspace) is None:
        raise SettingsError(
            f"port {prefect_port} is taken by another program; choose one: lm up --prefect-port 4201"
        )


def _start(workspace: Workspace, prefect_port: int, mlflow_port: int) -> subprocess.Popen[bytes]:
    """Start the supervisor in the background, in a session of its own."""
    command = [sys.executable, "-m", "flows.cli.serving", str(prefect_port), str(mlflow_port)]
    with (home_of(workspace) / "supervisor.log").open("wb") as out:
        return subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LM_WORKSPACE": str(workspace.root)},
            start_new_session=True,
        )


def _await_ready(workspace: Workspace, supervisor: subprocess.Popen[bytes] | None) -> dict[str, Any]:
    """What the supervisor has to say when all are healthy; shows what it says until then.

    Raises:
        NoServer: it gave up; the error names the log to read.
    """
    shown = 0
    try:
        while True:
            state = read_state(workspace)
            if supervisor and state.get("pid") != supervisor.pid:
                state = {}  # of one before it
            for line in state.get("lines", [])[shown:]:
                if supervisor:
                    print(f"  {line}", flush=True)
                shown += 1
            if state.get("ready"):
                return state | {"offered": read_report(workspace)}
            if supervisor.poll() is not None if supervisor else not is_up(workspace):
                raise NoServer(_why(workspace))
            time.sleep(0.2)
    except KeyboardInterrupt:
        if supervisor:
            supervisor.terminate()
            supervisor.wait()
        raise


def _why(workspace: Workspace) -> str:
    """What a supervisor that ended had to say last."""
    home = home_of(workspace)
    with suppress(OSError, ValueError):
        if error := json.loads((home / "state.json").read_text()).get("error"):
            return str(error)
    return f"the servers did not start; the log is {home / 'supervisor.log'}"


def _runs_under_way(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        return PrefectApi(state["prefect"]).runs(UNDER_WAY, deployment_id={"is_null_": False})
    except (KeyError, NoAnswer, Refused):
        return []


def _last_user(workspace: Workspace, api: str) -> str:
    """Prefect's server goes when its last user does; wait for that, or say who it stays for."""
    port = api.removesuffix("/api").rpartition(":")[2]
    until = time.monotonic() + LAST_USER_SECONDS
    while time.monotonic() < until and not (server_is_gone(workspace) and port_is_free(int(port or 0))):
        # The server itself holds the lock while it stops, and has withdrawn its address by then.
        if not server_is_gone(workspace) and is_held(workspace.private / "prefect" / "users.lock"):
            return "; Prefect's server stays until the runs in other terminals are done"
        time.sleep(0.2)
    return ""


def _supervise(workspace: Workspace, prefect_port: int, mlflow_port: int, *, foreground: bool) -> bool:
    """Keep the servers up in this process; False if another process does."""
    address = f"http://127.0.0.1:{mlflow_port}"
    services = [_mlflow(workspace, mlflow_port, address), _flows(workspace)]
    os.environ["LM_WORKSPACE"] = str(workspace.root)
    leftovers = [home_of(workspace) / name for name in (REPORT, "mlflow.log", "flows.log")]
    supervisor = Supervisor(workspace, prefect_port, services, {"mlflow": address}, leftovers)
    if foreground:
        supervisor.tell = lambda line: print(f"  {line}", flush=True)
        supervisor.on_ready = lambda facts: _show_pages({**facts, "offered": read_report(workspace)})
    return supervisor.run()


def _mlflow(workspace: Workspace, port: int, address: str) -> Service:
    command = [sys.executable, "-m", "tasks.tracking.serve", str(port)]
    log = home_of(workspace) / "mlflow.log"
    return Service("MLflow's server", command, {}, log, lambda: answers(f"{address}/health"))


def _flows(workspace: Workspace) -> Service:
    """What starts the runs that Prefect's server asks for."""
    home = home_of(workspace)
    command = [sys.executable, "-m", "flows.cli.offering"]
    environment = prefect_environment(workspace)
    del environment["PREFECT_LOGGING_SETTINGS_PATH"]  # its terminal is a log file, where Prefect may write
    return Service(
        "the starter of flows", command, environment, home / "flows.log", (home / REPORT).exists, True
    )


if __name__ == "__main__":
    _supervise(find_workspace(), int(sys.argv[1]), int(sys.argv[2]), foreground=False)
