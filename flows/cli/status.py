"""The part of `lm status` about servers: addresses, what can be started, what the clock starts, runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.cli.offering import read_report
from tasks.engine.prefect_api import (
    ENDED,
    UNDER_WAY,
    NoAnswer,
    PrefectApi,
    Refused,
    crash_orphans,
    seconds_since,
)
from tasks.engine.server import running_server
from tasks.engine.supervisor import read_state
from tasks.engine.workspace import Workspace
from tasks.words import count, duration

LAST = 6
"""Runs that have ended."""
SHOWN = {"CRASHED": "red", "FAILED": "red", "CANCELLED": "yellow", "COMPLETED": "green"}


def show_servers(out: Console, workspace: Workspace) -> None:
    """Where the servers are, what they offer, and what runs on them."""
    state, api = read_state(workspace), running_server(workspace)
    if not state:
        out.print("no servers are up (start them: lm up); experiments with a schedule wait for them")
    else:
        told = "" if state.get("ready") else "  (starting or stopping)"
        out.print(f"Prefect  {state.get('prefect', '').removesuffix('/api') or 'not yet'}{told}")
        out.print(f"MLflow   {state['mlflow']}")
    if api is None:
        return
    try:
        _show_runs(out, workspace, PrefectApi(api), bool(state))
    except (NoAnswer, Refused) as error:
        out.print(str(error), style="red")


def _show_runs(out: Console, workspace: Workspace, api: PrefectApi, is_served: bool) -> None:
    crash_orphans(api)
    if is_served:
        _show_deployments(out, workspace, api)
    flows = {flow["id"]: flow["name"] for flow in api.ask("/flows/filter", {})}
    going = api.runs(UNDER_WAY)
    out.print()
    out.print(f"{count(len(going), 'run')} in progress")
    _show_table(out, api, going, flows, with_pages=True)
    _show_table(out, api, api.runs(ENDED, sort="END_TIME_DESC", limit=LAST), flows, with_pages=False)


def _show_deployments(out: Console, workspace: Workspace, api: PrefectApi) -> None:
    """What can be started from Prefect's pages, and when the clock starts it."""
    offered = read_report(workspace)
    table = _table("flow", "experiments", "schedule", "next")
    for deployment in api.deployments():
        names = ", ".join(offered["flows"].get(deployment["name"], ()))
        clocks = [
            f"{schedule['slug']}: {schedule['schedule'].get('cron')} {schedule['schedule'].get('timezone')}"
            + ("" if schedule["active"] else " (paused)")
            for schedule in deployment["schedules"]
        ]
        coming = api.runs(
            ("SCHEDULED",),
            sort="EXPECTED_START_TIME_ASC",
            limit=1,
            deployment_id={"any_": [deployment["id"]]},
        )
        when = _local(coming[0]["expected_start_time"]) if coming else ""
        table.add_row(deployment["name"], names, "\n".join(clocks), when)
    out.print()
    out.print(table)
    for problem in offered["problems"].values():
        out.print(f"left out: {problem}", style="yellow")


def _show_table(
    out: Console,
    api: PrefectApi,
    runs: Sequence[Mapping[str, Any]],
    flows: Mapping[str, str],
    with_pages: bool,
) -> None:
    if not runs:
        return
    table = _table("began", "flow", "run", "state", "took", *(["page"] if with_pages else []))
    for run in runs:
        # What the clock starts was written down long before it was due.
        began = run["start_time"] or run["expected_start_time"] or run["created"]
        state = run["state_name"].lower()
        shown = f"[{SHOWN[run['state_type']]}]{state}[/]" if run["state_type"] in SHOWN else state
        seconds = seconds_since(began) if with_pages else run["total_run_time"]
        page = [api.page_of(run["id"])] if with_pages else []
        row = (_local(began), flows.get(run["flow_id"], ""), run["name"], shown, duration(seconds), *page)
        table.add_row(*row)
    out.print(table)


def _local(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table
