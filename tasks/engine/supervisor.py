"""`lm up`: one process that keeps Prefect's server and what belongs to it running until it is told to stop.

It holds `up.lock` as long as it lives, so a stale pid is no obstacle. What it has to say stands in
`state.json`; that this is its own word is told by `state.lock`, which it takes after the first writing.
Of Prefect's server it is one more user, see `server.py`; the other services run under guards. When this
process is killed the server finds its last user gone, and the guards end the rest.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.engine.guard import guarded
from tasks.engine.locks import is_held, lock, try_lock
from tasks.engine.server import NoServer, prefect_server, revive_server, server_is_gone
from tasks.engine.workspace import Workspace

STARTUP_SECONDS = 180
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 60.0
"""Before a service that ended by itself is started again; the pause doubles each time."""
LOOKS = 20


@dataclass
class Service:
    """A program that belongs to the servers."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    is_ready: Callable[[], bool]
    needs_prefect: bool = False
    """It cannot start before Prefect's server."""
    process: subprocess.Popen[bytes] | None = None
    pause: float = FIRST_PAUSE_SECONDS

    def start(self, api: str | None) -> None:
        told = {"PREFECT_API_URL": api} if api else {}
        environment = {**os.environ, **self.environment, **told}
        self.process = guarded(self.command, self.log, environment)

    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


@dataclass
class Supervisor:
    """Starts the services in their order, restarts what ends, and stops all in reverse order."""

    workspace: Workspace
    port: int
    """Where Prefect's server is to listen, if a run does not have one up elsewhere."""
    services: Sequence[Service]
    facts: dict[str, Any] = field(default_factory=dict)
    """What `lm up` and `lm status` are told besides."""
    leftovers: Sequence[Path] = ()
    """Files of the one before, which are deleted first."""
    tell: Callable[[str], None] = lambda line: None
    on_ready: Callable[[Mapping[str, Any]], None] = lambda facts: None
    _asked: threading.Event = field(default_factory=threading.Event)

    def run(self) -> bool:
        """Until SIGTERM or Ctrl-C; False if another supervisor is there already.

        Raises:
            NoServer: a server did not start; the error names its log.
        """
        with _only_one(home_of(self.workspace) / "up.lock") as is_alone:
            if not is_alone:
                return False
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self._asked.set())
            for file in self.leftovers:
                file.unlink(missing_ok=True)
            self._write(pid=os.getpid(), ready=False, lines=[])
            with lock(home_of(self.workspace) / "state.lock"):
                self._live()
        return True

    def _live(self) -> None:
        try:
            self._start(None)
            with prefect_server(self.workspace, self.port) as api:
                self._start(api)
                self._serve(api)
        except NoServer as error:
            self._write(error=str(error))
            raise
        finally:
            self._stop()

    def _start(self, api: str | None) -> None:
        for service in self.services:
            if service.needs_prefect == bool(api):
                service.start(api)

    def _serve(self, api: str) -> None:
        self._write(prefect=api)
        self._say(f"Prefect's server is up at {api.removesuffix('/api')}")
        for service in self.services:
            self._await(service)
        if not self._asked.is_set():
            self._write(ready=True)
            self.on_ready(self.facts)
        while not self._asked.wait(1.0):
            self._mend(api)
        self._stop()  # while Prefect's server can still be told how runs ended

    def _stop(self) -> None:
        self._write(ready=False)
        for service in reversed(self.services):
            service.stop()

    def _await(self, service: Service) -> None:
        until = time.monotonic() + STARTUP_SECONDS
        while not self._asked.is_set() and not service.is_ready():
            if service.has_ended() or time.monotonic() > until:
                raise NoServer(f"{service.name} did not start; its log is {service.log}")
            self._asked.wait(0.2)
        if not self._asked.is_set():
            self._say(f"{service.name} is up")

    def _mend(self, api: str) -> None:
        if server_is_gone(self.workspace):
            revive_server(self.workspace, api)
        for service in self.services:
            if service.has_ended() and not self._asked.wait(service.pause):
                service.pause = min(2 * service.pause, LONGEST_PAUSE_SECONDS)
                service.start(api)

    def _say(self, line: str) -> None:
        self.tell(line)
        self._write(lines=[*self.facts["lines"], line])

    def _write(self, **facts: Any) -> None:
        self.facts |= facts
        file = home_of(self.workspace) / "state.json"
        scratch = file.with_suffix(".new")
        scratch.write_text(json.dumps(self.facts))
        scratch.replace(file)


@contextmanager
def _only_one(path: Path) -> Iterator[bool]:
    """Hold the lock of the one supervisor; whoever only looks whether it is held holds it for a moment."""
    for _ in range(LOOKS):
        with try_lock(path) as is_alone:
            if is_alone:
                yield True
                return
        time.sleep(0.05)
    yield False


def home_of(workspace: Workspace) -> Path:
    """Where the servers keep their state and their logs."""
    home = workspace.private / "up"
    home.mkdir(parents=True, exist_ok=True)
    return home


def is_up(workspace: Workspace) -> bool:
    """Whether a supervisor is alive, also while it starts or stops."""
    return is_held(home_of(workspace) / "up.lock")


def read_state(workspace: Workspace) -> dict[str, Any]:
    """What the supervisor has said; empty where none is alive, or none has said anything yet."""
    home = home_of(workspace)
    # First the lock: what is read afterwards was written by whoever holds it.
    if not is_held(home / "state.lock"):
        return {}
    try:
        state: dict[str, Any] = json.loads((home / "state.json").read_text())
    except (OSError, ValueError):
        return {}
    return state
