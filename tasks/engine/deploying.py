"""Keeps each flow's deployment as the workspace describes it, and starts the runs that the server asks for.

Each run is a process of its own, so a cancel on Prefect's pages is a SIGTERM: training saves its state and
ends. A schedule that somebody paused there stays paused until its line in the experiment's file changes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.runner import Runner
from prefect.utilities.callables import ParameterSchema

from tasks.engine.prefect_api import UNDER_WAY, PrefectApi, Refused, crash_orphans, has_process
from tasks.engine.schedule import Schedule

POLL_SECONDS = 2.0
"""How soon a run starts that somebody asked for, and a change of an experiment shows in the form."""
MOST_AT_ONCE = 8
"""Processes of runs; steps that compute on many cores wait for one another besides."""
STOPPING_SECONDS = 45
STOPPED = "stopped with `lm down`; run it again to go on"


@dataclass(frozen=True)
class Deployment:
    """A flow as Prefect's pages offer it."""

    flow: str
    description: str
    entry: str
    """The module path of the Prefect flow that a run's process loads."""
    schema: Mapping[str, Any]
    """The form, as a JSON schema."""
    schedules: Mapping[str, Schedule]
    """By experiment."""
    event: str | None = None
    """What starts it besides: an event whose payload names the experiment."""


class Offers(Protocol):
    """What there is to offer, as it changes."""

    def is_changed(self) -> bool: ...
    def read(self) -> Sequence[Deployment]: ...
    def tell(self, offered: Sequence[Deployment]) -> None:
        """Called when the server has them."""
        ...


def serve(offers: Offers) -> None:
    """Keep the server's deployments as they are offered, and start runs, until SIGTERM."""
    asyncio.run(_serve(offers))


async def _serve(offers: Offers) -> None:
    api = PrefectApi(os.environ["PREFECT_API_URL"])
    runner = Runner(
        name="lm up",
        query_seconds=POLL_SECONDS,
        prefetch_seconds=POLL_SECONDS,
        limit=MOST_AT_ONCE,
        pause_on_shutdown=False,
    )
    _end_what_is_left(api)
    known = await _offer(runner, api, offers, {})
    _forget_missed(api)
    working = asyncio.create_task(runner.start())
    while not runner.started and not working.done():
        await asyncio.sleep(0.05)
    # Prefect's own handler blocks the loop that its processes are watched by.
    asked_to_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_stop.set)
    while not working.done() and not asked_to_stop.is_set():
        if offers.is_changed():
            known = await _offer(runner, api, offers, known)
        with suppress(TimeoutError):
            await asyncio.wait_for(asked_to_stop.wait(), POLL_SECONDS)
    if not working.done():
        await _cancel_all(api)
        await runner.astop()
    await working


async def _offer(
    runner: Runner, api: PrefectApi, offers: Offers, before: Mapping[str, Deployment]
) -> dict[str, Deployment]:
    """Make the server's deployments what is wanted; tells nothing to the server where nothing changed."""
    wanted = offers.read()
    for deployment in wanted:
        if before.get(deployment.flow) != deployment:
            await _register(runner, deployment)
            _set_schedules(api, deployment)
    flows = {deployment.flow for deployment in wanted}
    for found in api.deployments():
        if found["name"] not in flows:
            api.ask(f"/deployments/{found['id']}", method="DELETE")
    offers.tell(wanted)
    return {deployment.flow: deployment for deployment in wanted}


async def _register(runner: Runner, deployment: Deployment) -> None:
    registered = RunnerDeployment(
        name=deployment.flow,
        flow_name=deployment.flow,
        description=deployment.description,
        entrypoint=deployment.entry,
        version="",
        enforce_parameter_schema=True,
        triggers=_triggers(deployment),
    )
    # Prefect would derive the form from the signature of a function, without bounds and words.
    registered._parameter_openapi_schema = ParameterSchema(**deployment.schema)
    await runner.aadd_deployment(registered)


def _triggers(deployment: Deployment) -> list[DeploymentEventTrigger]:
    if deployment.event is None:
        return []
    trigger = DeploymentEventTrigger(
        name=f"{deployment.flow} on {deployment.event}",
        description="started with the experiment that the event names",
        expect={deployment.event},
        for_each={"prefect.resource.id"},
        parameters={"experiment": "{{ event.payload.experiment }}"},
    )
    return [trigger]


def _set_schedules(api: PrefectApi, deployment: Deployment) -> None:
    """Create and delete what differs; a schedule that is as it should be may be paused, and stays so."""
    found = api.deployment(deployment.flow)
    assert found
    path = f"/deployments/{found['id']}/schedules"
    there = {schedule["slug"]: schedule for schedule in found["schedules"]}
    for name, schedule in there.items():
        wanted = deployment.schedules.get(name)
        if wanted is None or not _is_same(schedule, wanted):
            api.ask(f"{path}/{schedule['id']}", method="DELETE")
    new = [
        {"slug": name, "active": True, "parameters": {"experiment": name},
         "schedule": {"cron": schedule.cron, "timezone": schedule.timezone}}
        for name, schedule in deployment.schedules.items()
        if name not in there or not _is_same(there[name], schedule)
    ]  # fmt: skip
    if new:
        api.ask(path, new)
        api.ask(f"/deployments/{found['id']}/schedule", {})  # at once, not with the scheduler's next round


def _is_same(found: Mapping[str, Any], wanted: Schedule) -> bool:
    clock = found["schedule"]
    return (clock.get("cron"), clock.get("timezone")) == (wanted.cron, wanted.timezone)


def _end_what_is_left(api: PrefectApi) -> None:
    """No run of a deployment can be under way before we serve: whoever started it is gone."""
    crash_orphans(api)
    for run in api.runs(UNDER_WAY, deployment_id={"is_null_": False}):
        if not has_process(run):
            api.set_state(run["id"], "CRASHED", "whoever started it is gone", force=True)


def _forget_missed(api: PrefectApi) -> None:
    """Of the runs that a schedule had while nobody served, only the last is made up for."""
    now = datetime.now(UTC).isoformat()
    missed = api.runs(
        ("SCHEDULED",),
        sort="EXPECTED_START_TIME_DESC",
        expected_start_time={"before_": now},
        deployment_id={"is_null_": False},
    )
    kept = set()
    for run in missed:
        whose = (run["deployment_id"], run["parameters"].get("experiment"))
        if run["auto_scheduled"] and whose in kept:
            api.ask(f"/flow_runs/{run['id']}", method="DELETE")
        kept.add(whose)


async def _cancel_all(api: PrefectApi) -> None:
    """Let each run save its state and end, all at the same time."""
    until = time.monotonic() + STOPPING_SECONDS
    while time.monotonic() < until:
        runs = await asyncio.to_thread(api.runs, UNDER_WAY, deployment_id={"is_null_": False})
        if not runs:
            return
        for run in runs:
            if run["state_type"] != "CANCELLING":
                with suppress(Refused):
                    await asyncio.to_thread(api.set_state, run["id"], "CANCELLING", STOPPED)
        await asyncio.sleep(0.5)
