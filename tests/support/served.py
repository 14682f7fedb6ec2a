"""A workspace with `lm up`, and patience."""

import os
import socket
import time
from pathlib import Path

from tasks.engine.prefect_api import ENDED, PrefectApi
from tasks.engine.supervisor import read_state
from tasks.engine.workspace import Workspace

PATIENCE_SECONDS = 100


def wait_for(what, seconds=PATIENCE_SECONDS):
    """What a function gives as soon as it gives something; slow machines are no failure."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.1)
    return found


def free_ports(number: int) -> list[str]:
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Servers:
    """A workspace with `lm up`."""

    def __init__(self, lm) -> None:
        self.lm = lm
        self.ports = free_ports(2)

    def up(self) -> str:
        return self.lm("up", "--prefect-port", self.ports[0], "--mlflow-port", self.ports[1])

    def stay_up(self) -> None:
        """The same in a terminal of its own."""
        ports = ("--prefect-port", self.ports[0], "--mlflow-port", self.ports[1])
        self.in_foreground = self.lm.start("up", "--foreground", *ports)
        wait_for(lambda: self.state().get("ready"))

    @property
    def api(self) -> PrefectApi:
        return PrefectApi(self.state()["prefect"])

    def state(self) -> dict:
        return read_state(Workspace(self.lm.workspace))

    def runs(self, states=ENDED, flow: str | None = None) -> list[dict]:
        """Runs that were started through deployments, of one flow."""
        flows = {row["id"]: row["name"] for row in self.api.ask("/flows/filter", {})}
        runs = self.api.runs(states, deployment_id={"is_null_": False})
        return [run for run in runs if flow in (None, flows[run["flow_id"]])]

    def by_the_clock(self, flow: str, state: str) -> list[dict]:
        """Runs of a flow that a schedule has started, which ended so."""
        runs = self.runs(flow=flow)
        return [run for run in runs if run["auto_scheduled"] and run["state_name"] == state]

    def processes(self) -> list[int]:
        """All that work for this workspace, found by the environment that they were started with."""
        mine = f"LM_WORKSPACE={self.lm.workspace}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mine in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except OSError:
                continue
        return [pid for pid in found if pid != os.getpid()]
