"""One Prefect server for all runs of a workspace that happen at the same time.

The first run starts it, later ones share it, and it goes when nobody holds `users.lock` any more: the
kernel frees that lock however a run ends. `lm up` is one more user, which stays (see `supervisor.py`).
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lmcore.runtime import die_with_parent
from tasks.engine.locks import lock, try_lock
from tasks.engine.workspace import Workspace, find_workspace
from tasks.subprocesses import stop
from tasks.tracking.processes import process_start

STARTUP_SECONDS = 180
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A proxy that the environment names is not for addresses of this machine."""
_started: list[subprocess.Popen[bytes]] = []
"""Servers outlive the runs that started them; they are kept here so that nobody complains of it."""


class NoServer(RuntimeError):
    """Prefect's server did not come up."""


def prefect_environment(workspace: Workspace) -> dict[str, str]:
    """What Prefect has to be told before it is imported: its home is inside the workspace."""
    home = workspace.private / "prefect"
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_LOCAL_STORAGE_PATH": str(workspace.private / "records"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "NO_PROXY": ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1", "localhost"))),
        "PREFECT_LOGGING_SETTINGS_PATH": str(Path(__file__).with_name("prefect_logging.yaml")),
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "DO_NOT_TRACK": "true",
    }


@contextmanager
def prefect_server(workspace: Workspace, port: int | None = None) -> Iterator[str]:
    """The address of the workspace's Prefect API, alive until the last user leaves.

    Raises:
        NoServer: it did not answer in time; the error names its log.
    """
    home = workspace.private / "prefect"
    with lock(home / "users.lock", shared=True):
        with lock(home / "start.lock"):
            # Under a lock: two servers that set up one new database at once fail.
            url = _alive(home) or _start(
                workspace, home, port if port and port_is_free(port) else _free_port()
            )
        yield url


def running_server(workspace: Workspace) -> str | None:
    """The address of the workspace's Prefect API, if a run or `lm up` has it up now."""
    return _alive(workspace.private / "prefect")


def server_is_gone(workspace: Workspace) -> bool:
    """Whether the process of the server is; one that is only slow to answer is not."""
    return not _process_lives(workspace.private / "prefect")


def revive_server(workspace: Workspace, url: str) -> None:
    """Start a server that has ended once more, at the address that others know."""
    home = workspace.private / "prefect"
    with lock(home / "start.lock"):
        if server_is_gone(workspace):
            _start(workspace, home, int(url.removesuffix("/api").rpartition(":")[2]))


def _alive(home: Path) -> str | None:
    # Another workspace's server may listen by now where a killed one did.
    if not _process_lives(home):
        return None
    url: str = json.loads((home / "server.json").read_text())["url"]
    return url if answers(f"{url}/health") else None


def _process_lives(home: Path) -> bool:
    try:
        known = json.loads((home / "server.json").read_text())
        return bool(process_start(known["pid"]) == known["started"])
    except (OSError, ValueError, KeyError):
        return False


def answers(url: str) -> bool:
    """Whether a server on this machine answers there."""
    try:
        with _direct.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _start(workspace: Workspace, home: Path, port: int) -> str:
    log = home / "server.log"
    command = [sys.executable, "-m", "tasks.engine.server", str(port)]
    environment = (
        os.environ
        | prefect_environment(workspace)
        | {
            "LM_WORKSPACE": str(workspace.root),
            "PREFECT_SERVER_API_PORT": str(port),
            "PREFECT_LOGGING_SETTINGS_PATH": "",
        }
    )
    environment.pop("PREFECT_API_URL", None)
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
        )
    _started.append(process)
    url = f"http://127.0.0.1:{port}/api"
    until = time.monotonic() + STARTUP_SECONDS
    while not answers(f"{url}/health"):
        if process.poll() is not None or time.monotonic() > until:
            raise NoServer(f"Prefect's server did not start; its log is {log}")
        time.sleep(0.2)
    known = {"url": url, "pid": process.pid, "started": process_start(process.pid)}
    (home / "server.json").write_text(json.dumps(known))
    return url


def port_is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def main(port: str) -> None:
    """Serve until no run of the workspace is left."""
    home = find_workspace().private / "prefect"
    environment = {name: value for name, value in os.environ.items() if value}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
    server = subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=die_with_parent)
    while server.poll() is None:
        time.sleep(1)
        with try_lock(home / "users.lock") as is_alone:
            if is_alone:
                # Still under the lock: a run that starts now waits, and then finds no server to rely on.
                (home / "server.json").unlink(missing_ok=True)
                stop(server, patience=20)


if __name__ == "__main__":
    main(sys.argv[1])
