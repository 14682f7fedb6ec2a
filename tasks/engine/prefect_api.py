"""What `lm` asks Prefect's server over HTTP. Importing Prefect for it would take seconds; this takes none."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tasks.tracking.processes import boot_id, process_start

PATIENCE_SECONDS = 60
BUSY = (429, 503)
"""Answers of a server whose database was locked: nothing was done, and the same may be asked again."""
PAUSES = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0)
"""Seconds before asking a busy server again."""
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
WORKED_ON = ("RUNNING", "CANCELLING")
"""States in which some process has to be at work on a run."""
UNDER_WAY = ("PENDING", "RUNNING", "CANCELLING", "PAUSED")
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PROCESS = "lm.process"
UNSIGNED_SECONDS = 60.0
"""A run is signed by its process as soon as it begins."""
PAGE = 200
"""The most rows that Prefect gives at once."""


class NoAnswer(RuntimeError):
    """Prefect's server is gone, or too busy to answer."""


class Refused(RuntimeError):
    """Prefect's server answered that it will not."""


class PrefectApi:
    """Prefect's server at an address such as `http://127.0.0.1:4200/api`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """The JSON answer to a request; a GET without a body, else a POST.

        Raises:
            NoAnswer, Refused
        """
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method or ("GET" if body is None else "POST"),
        )
        for pause in (*PAUSES, None):
            try:
                with _direct.open(request, timeout=PATIENCE_SECONDS) as answer:
                    text = answer.read()
                return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                if error.code not in BUSY or pause is None:
                    raise Refused(_reason(error)) from None
                time.sleep(pause)
            except OSError as error:
                raise NoAnswer(f"Prefect's server at {self.url} does not answer: {error}") from None

    def page_of(self, run_id: str) -> str:
        """Where a browser shows a run."""
        return f"{self.pages}/runs/flow-run/{run_id}"

    @property
    def pages(self) -> str:
        """Where the pages are; without `v2` an address shows those of before."""
        return f"{self.url.removesuffix('/api')}/v2"

    def deployments(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("/deployments/filter", {"sort": "NAME_ASC", "limit": PAGE})
        return found

    def deployment(self, flow: str) -> dict[str, Any] | None:
        """The deployment of a flow, which has the flow's name."""
        try:
            found: dict[str, Any] = self.ask(f"/deployments/name/{flow}/{flow}")
        except Refused:
            return None
        return found

    def start_run(self, deployment_id: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for a run; whoever serves the deployment starts it.

        Raises:
            Refused: the parameters do not fit the form.
        """
        path = f"/deployments/{deployment_id}/create_flow_run"
        run: dict[str, Any] = self.ask(path, {"parameters": parameters, "state": {"type": "SCHEDULED"}})
        return run

    def emit(self, event: str, about: str, payload: Mapping[str, Any]) -> None:
        """Tell whoever waits for such an event, of a resource of that id."""
        told = {
            "id": str(uuid.uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": event,
            "resource": {"prefect.resource.id": about},
            "payload": dict(payload),
        }
        self.ask("/events", [told])

    def run(self, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = self.ask(f"/flow_runs/{run_id}")
        return run

    def runs(
        self,
        states: Sequence[str],
        sort: str = "START_TIME_DESC",
        limit: int = PAGE,
        **filters: Any,
    ) -> list[dict[str, Any]]:
        """Flow runs in one of these states; `filters` are further ones of Prefect's for flow runs."""
        asked = {"state": {"type": {"any_": list(states)}}, **filters}
        body = {"flow_runs": asked, "sort": sort, "limit": limit}
        found: list[dict[str, Any]] = self.ask("/flow_runs/filter", body)
        return found

    def set_state(self, run_id: str, state: str, message: str, *, force: bool = False) -> None:
        body = {"state": {"type": state, "message": message}, "force": force}
        self.ask(f"/flow_runs/{run_id}/set_state", body)

    def log_lines(self, run_id: str, known: int) -> list[dict[str, Any]]:
        """What a run has logged, in its order, without the first so many lines."""
        asked = {"flow_run_id": {"any_": [run_id]}}
        body = {"logs": asked, "sort": "TIMESTAMP_ASC", "offset": known, "limit": PAGE}
        lines: list[dict[str, Any]] = self.ask("/logs/filter", body)
        return lines


def _reason(error: urllib.error.HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        detail = json.loads(text)
    except ValueError:
        return f"{error.code} {error.reason}"
    return str(detail.get("detail") or detail.get("exception_message") or text)


def sign(api: PrefectApi, run_id: str) -> None:
    """Note which process of all that ever ran on this machine works on a run."""
    label = {PROCESS: f"{os.getpid()}:{process_start(os.getpid())}:{boot_id()}"}
    api.ask(f"/flow_runs/{run_id}/labels", label, "PATCH")


def crash_orphans(api: PrefectApi) -> list[str]:
    """Mark as crashed what a `kill -9` left running: Prefect cannot know that its process is gone.

    Returns the names of the runs. Runs that no process has signed yet are left alone for a while.
    """
    crashed = []
    for run in api.runs(WORKED_ON):
        if is_orphan(run):
            api.set_state(run["id"], "CRASHED", "its process is gone", force=True)
            crashed.append(str(run["name"]))
    return crashed


def is_orphan(run: Mapping[str, Any]) -> bool:
    """Whether the process that worked on a run is gone."""
    is_signed = PROCESS in run["labels"]
    return not has_process(run) and (is_signed or seconds_since(run["updated"]) > UNSIGNED_SECONDS)


def has_process(run: Mapping[str, Any]) -> bool:
    """Whether the process that works on a run is alive."""
    pid, _, rest = str(run["labels"].get(PROCESS, "")).partition(":")
    start, _, boot = rest.partition(":")
    return bool(pid) and boot == boot_id() and process_start(int(pid)) == start


def seconds_since(moment: str) -> float:
    """How long ago one of Prefect's times was."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
