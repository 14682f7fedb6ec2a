"""`lm run FLOW EXPERIMENT --remote`: a run that the servers of `lm up` start, followed from here."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from flows.cli import INTERRUPTED, TERMINATED
from flows.cli.running import open_run
from flows.cli.screen import console
from lmcore.config import SettingsError
from tasks.engine.flow import AnyFlow
from tasks.engine.prefect_api import ENDED, NoAnswer, PrefectApi, Refused
from tasks.engine.run import Options, make_plan, run_flow
from tasks.engine.supervisor import is_up, read_state
from tasks.engine.workspace import Workspace

LOOK_SECONDS = 0.5
REFRESH_SECONDS = 15.0
"""An experiment that was written just now shows in the form after a few seconds."""
LOST_SECONDS = 60.0
"""Without an answer for so long, a server is taken for gone."""
LATE_LINES = 60
"""Lines of several threads may come in another order than that of their times: look again at so many."""
EXIT_CODES = {"COMPLETED": 0, "CANCELLED": TERMINATED}
MISTAKE = 2
FIRST_LINE, LAST_LINE = "Beginning flow run", "Finished in state"
OF_PREFECT = (FIRST_LINE, LAST_LINE, "Task run failed with exception", "Engine execution exited")
"""What Prefect itself logs; why a run failed is told without it."""
GONE = "the servers were stopped, and the run with them; when they are up again, the same command goes on"
LAST_LINES_SECONDS = 5.0
"""A process sends its last lines a little after its run has ended."""


def remote_command(flow_name: str, name: str, overrides: Sequence[str], options: Options, wait: bool) -> int:
    """The exit code that the same run would have had here; 0 at once without `wait`.

    Raises:
        SettingsError: the request is wrong, or nothing is served; nothing was started.
    """
    started = time.monotonic()
    workspace, flow, experiment = open_run(flow_name, name, overrides)
    if options != Options(force=options.force):
        raise SettingsError("of the options that choose steps, --remote knows --force only")
    make_plan(workspace, flow, experiment, options)
    api = _served(workspace)
    asked = {"experiment": name, "overrides": list(overrides), "force": list(options.force)}
    run = _start(api, flow_name, asked)
    print(f"{flow_name} {experiment.name}: {api.page_of(run['id'])}", flush=True)
    if not wait:
        return 0
    try:
        end = _follow(workspace, api, run["id"])
    except NoAnswer as error:
        lost = f"{error}; `lm status` tells what became of the run"
        print(f"lm: {lost if is_up(workspace) else GONE}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("the run goes on; its page stops it", flush=True)
        raise SystemExit(INTERRUPTED) from None
    if end["state_type"] != "COMPLETED":
        reason = end["state"].get("message") or "no reason given"
        print(f"lm: {end['state_name'].lower()}: {reason}", file=sys.stderr)
        return MISTAKE if end["state_name"] == "Refused" else EXIT_CODES.get(end["state_type"], 1)
    _show(workspace, flow, experiment, time.monotonic() - started)
    return 0


def _served(workspace: Workspace) -> PrefectApi:
    state = read_state(workspace)
    if not state.get("ready"):
        raise SettingsError("no server is up that takes runs; start it: lm up")
    return PrefectApi(state["prefect"])


def _start(api: PrefectApi, flow: str, asked: dict[str, Any]) -> dict[str, Any]:
    until = time.monotonic() + REFRESH_SECONDS
    while True:
        deployment = api.deployment(flow)
        try:
            if deployment:
                return api.start_run(deployment["id"], asked)
            reason = f"{flow} is not served; it may be newer than the server: lm down, then lm up"
        except Refused as error:
            reason = str(error)
        if time.monotonic() > until:
            raise SettingsError(reason)
        time.sleep(LOOK_SECONDS)


def _follow(workspace: Workspace, api: PrefectApi, run_id: str) -> dict[str, Any]:
    """The run as it ended; shows its log lines until then."""
    seen: set[str] = set()
    answered, ended = time.monotonic(), 0.0
    while True:
        try:
            run = api.run(run_id)
            is_last = _show_lines(api, run_id, seen)
            answered = time.monotonic()
            if run["state_type"] in ENDED:
                ended = ended or answered
                if is_last or answered - ended > LAST_LINES_SECONDS:
                    return run
        except NoAnswer:
            if not is_up(workspace) or time.monotonic() - answered > LOST_SECONDS:
                raise
        time.sleep(LOOK_SECONDS)


def _show_lines(api: PrefectApi, run_id: str, seen: set[str]) -> bool:
    """Show what was logged since the last look; True if the run's last line is among it."""
    is_last = False
    while new := [
        line for line in api.log_lines(run_id, max(0, len(seen) - LATE_LINES)) if line["id"] not in seen
    ]:
        for line in new:
            seen.add(line["id"])
            message = line["message"].partition("\n")[0]
            is_last |= line["name"] == "prefect.flow_runs" and message.startswith(LAST_LINE)
            if not message.startswith(OF_PREFECT):
                clock = datetime.fromisoformat(line["timestamp"]).astimezone().strftime("%H:%M:%S")
                print(f"  {clock}  {message}", flush=True)
    return is_last


def _show(workspace: Workspace, flow: AnyFlow, experiment: Any, seconds: float) -> None:
    """The results that a run in this terminal would have ended with; all is there, so nothing runs."""
    planned = make_plan(workspace, flow, experiment)
    if any(line.action in ("run", "depends") for line in planned[1]):
        return  # something changed in the meantime
    from flows.cli.results import show_results

    result = run_flow(workspace, replace(flow, after=None), experiment, planned=planned)
    show_results(console(), workspace, result, seconds)
