"""A flow as a Prefect flow run, with MLflow keeping the books. Imported when something has to be made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from prefect import flow as prefect_flow
from prefect import tags
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger
from prefect.states import Crashed

from lmcore.config import canonical
from tasks.engine.books import Books
from tasks.engine.experiment import Experiment
from tasks.engine.flow import AnyFlow
from tasks.engine.on_prefect import OnPrefect
from tasks.engine.session import Listener, Outcome, ReachedUntil, Session
from tasks.engine.step import executing
from tasks.tracking.processes import boot_id, close_orphans, process_start


def run_on_prefect(session: Session, flow: AnyFlow, experiment: Experiment) -> Any:
    """Run the flow's steps as tasks of one Prefect flow run and as child runs of one MLflow run."""

    def body(experiment_name: str, settings: dict[str, Any]) -> None:
        context = FlowRunContext.get()
        if context and context.flow_run:
            session.prefect_run_id = str(context.flow_run.id)
        told = Told(session.listener)
        session.listener = told
        executor = OnPrefect(session)
        with Books(session, settings) as books, executing(executor):
            session.tracker = books
            with suppress(ReachedUntil):
                answers.append(flow(experiment))
            executor.finish()
        create_table_artifact(key="steps", table=told.rows, description="What became of each step")

    answers: list[Any] = []
    close_orphans(session.workspace.root)
    crash_orphans()
    described = prefect_flow(
        name=flow.name,
        description=flow.function.__doc__,
        flow_run_name=f"{experiment.name} {session.run_id}",
        validate_parameters=False,
        persist_result=False,
    )(body)
    with tags(process_tag()):
        described(experiment_name=experiment.name, settings=canonical(experiment))
    return answers[0] if answers else None


def process_tag() -> str:
    """Names this process among all that ever ran on this machine."""
    return f"process:{os.getpid()}:{process_start(os.getpid())}:{boot_id()}"


def crash_orphans() -> None:
    """Mark as crashed what a `kill -9` left running: Prefect cannot know that its process is gone."""
    running = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING])))
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=running):
            names = [tag.split(":") for tag in run.tags if tag.startswith("process:")]
            if names and not any(_lives(*name[1:]) for name in names):
                client.set_flow_run_state(run.id, Crashed(message="its process is gone"), force=True)


def _lives(pid: str, start: str, boot: str) -> bool:
    return boot == boot_id() and process_start(int(pid)) == start


class Told:
    """Passes everything on to the terminal, and what stays to say into Prefect's log as well."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.rows: list[dict[str, Any]] = []

    def started(self, label: str) -> None:
        self.listener.started(label)
        get_run_logger().info("%s: started", label)

    def progressed(self, label: str, figures: Mapping[str, Any]) -> None:
        self.listener.progressed(label, figures)

    def said(self, label: str, text: str) -> None:
        self.listener.said(label, text)
        get_run_logger().info("%s: %s", label, text)

    def finished(self, label: str, outcome: Outcome) -> None:
        self.listener.finished(label, outcome)
        manifest = outcome.manifest
        self.rows.append(
            {"step": label, "what": outcome.action, "why": outcome.why, "digest": manifest.digest[:12],
             "seconds": round(outcome.seconds, 1), "bytes": manifest.size}
        )  # fmt: skip
        digest = manifest.digest[:12]
        get_run_logger().info("%s: %s %s %s %s", label, outcome.action, digest, manifest.facts, outcome.why)
