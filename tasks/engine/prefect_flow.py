"""A flow as a Prefect flow run, with MLflow keeping the books. Imported when something has to be made.

The same steps run in two places: in a flow run of their own, which a command in a terminal starts, and in the
flow run of a deployment, which somebody started from Prefect's pages, from afar or by the clock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from prefect import flow as prefect_flow
from prefect.artifacts import create_table_artifact
from prefect.context import FlowRunContext
from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger
from prefect.logging.handlers import APILogWorker

from lmcore.config import canonical
from tasks.engine.books import Books
from tasks.engine.ending import write_page
from tasks.engine.experiment import Experiment
from tasks.engine.flow import AnyFlow
from tasks.engine.on_prefect import OnPrefect
from tasks.engine.prefect_api import PrefectApi, crash_orphans, sign
from tasks.engine.session import Listener, NoTracker, Outcome, ReachedUntil, Session
from tasks.engine.step import executing
from tasks.subprocesses import stopping
from tasks.tracking.processes import close_orphans

LAST_LINES_SECONDS = 10
QUIET_SECONDS = 10.0
"""Between two log lines about the progress of one step."""


def run_on_prefect(session: Session, flow: AnyFlow, experiment: Experiment) -> Any:
    """Run the flow's steps as tasks of one Prefect flow run and as child runs of one MLflow run."""
    answers: list[Any] = []

    def body(experiment_name: str, settings: dict[str, Any]) -> None:
        answers.append(run_in_context(session, flow, experiment))

    close_leftovers(session)
    described = prefect_flow(
        name=flow.name,
        description=flow.function.__doc__,
        flow_run_name=f"{experiment.name} {session.run_id}",
        validate_parameters=False,
        persist_result=False,
    )(body)
    try:
        described(experiment_name=experiment.name, settings=_settings(experiment))
    finally:
        # The server goes when its last user leaves it; lines that are still on their way would fail aloud.
        APILogWorker.drain_all(timeout=LAST_LINES_SECONDS)
    return answers[0]


def run_in_context(session: Session, flow: AnyFlow, experiment: Experiment) -> Any:
    """Run the flow's steps as tasks of the Prefect flow run that this is called in.

    Where the plan has nothing to make (`session.may_build` is off) MLflow is left alone: no run, no import.
    """
    context = FlowRunContext.get()
    if context and context.flow_run:
        session.prefect_run_id = str(context.flow_run.id)
        sign(PrefectApi(os.environ["PREFECT_API_URL"]), session.prefect_run_id)
    told = Told(session.listener)
    session.listener = told
    books = Books(session, _settings(experiment)) if session.may_build else nullcontext(NoTracker())
    executor, answer = OnPrefect(session), None
    with books as session.tracker, executing(executor):
        with _stopping_all():
            with suppress(ReachedUntil):
                answer = flow(experiment)
            executor.finish()
        page = write_page(session)
        if page and isinstance(books, Books):
            books.run.log_file(page, "report")
    create_table_artifact(key="steps", table=told.rows, description="What became of each step")
    return answer


@contextmanager
def _stopping_all() -> Iterator[None]:
    """An interruption comes to this thread; the branches of the flow learn of it here."""
    try:
        yield
    except Exception:
        raise
    except BaseException:
        stopping.set()
        raise


def close_leftovers(session: Session) -> None:
    """End in both books what a `kill -9` left running."""
    close_orphans(session.workspace.root)
    crash_orphans(PrefectApi(os.environ["PREFECT_API_URL"]))


def _settings(experiment: Experiment) -> dict[str, Any]:
    settings: dict[str, Any] = canonical(experiment)
    return {name: value for name, value in settings.items() if name != "schedule"}


class Told:
    """Passes everything on to the terminal, and what stays to say into Prefect's log as well."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.rows: list[dict[str, Any]] = []
        self._logged: dict[str, float] = {}

    def started(self, label: str) -> None:
        self.listener.started(label)
        self._logged[label] = time.monotonic()
        get_run_logger().info("%s: started", label)

    def progressed(self, label: str, figures: Mapping[str, Any]) -> None:
        self.listener.progressed(label, figures)
        now = time.monotonic()
        if now - self._logged.get(label, 0.0) > QUIET_SECONDS:
            self._logged[label] = now
            rest = [f"{name} {value}".strip() for name, value in figures.items() if name not in COUNTS]
            told = "  ".join([f"{figures['done']:,}/{figures['total']:,}", *rest])
            get_run_logger().info("%s: %s", label, told)

    def said(self, label: str, text: str) -> None:
        self.listener.said(label, text)
        with suppress(MissingContextError):  # the run has ended: what is said of dvc.yaml comes after it
            get_run_logger().info("%s: %s", label, text)

    def finished(self, label: str, outcome: Outcome) -> None:
        self.listener.finished(label, outcome)
        manifest = outcome.manifest
        self.rows.append(
            {"step": label, "what": outcome.action, "why": outcome.why, "digest": manifest.digest[:12],
             "seconds": round(outcome.seconds, 1), "bytes": manifest.size}
        )  # fmt: skip
        plain = {
            name: value for name, value in manifest.facts.items() if isinstance(value, int | float | str)
        }
        facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in plain.items())
        told = [f"{outcome.action} {manifest.digest[:12]}", outcome.why, facts]
        get_run_logger().info("%s: %s", label, "; ".join(filter(None, told)))


COUNTS = ("done", "total")
