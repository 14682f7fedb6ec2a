"""A run that Prefect's server asked for: the entry of a deployment, in a process of its own."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from prefect import Flow
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from tasks.engine.experiment import Experiment
from tasks.engine.flow import AnyFlow
from tasks.engine.forms import Form, Request
from tasks.engine.locks import lock, try_lock
from tasks.engine.prefect_api import PrefectApi, sign
from tasks.engine.prefect_flow import close_leftovers, run_in_context
from tasks.engine.run import Options, make_plan
from tasks.engine.session import Silent, WorkTurnedUp
from tasks.engine.stages import keep_in_step
from tasks.engine.workspace import Workspace

Open = Callable[[Request], tuple[Workspace, AnyFlow, Experiment]]
MADE_UP = re.compile(r"[A-Za-z]+\d*-[A-Za-z]+")
"""Names that Prefect and its pages give to runs: `refined-bat`, `eta790-ise`."""


def entry(flow: AnyFlow, form: Form, open_run: Open) -> Flow[..., Any]:
    """What Prefect loads and calls in the process of a run; its parameters are the fields of the form."""

    def run(**filled_in: Any) -> Any:
        logger = get_run_logger()
        try:
            request = form.request({name: value for name, value in filled_in.items() if value is not None})
            logger.info(request.command(flow.name))
            return _run(*open_run(request), Options(force=request.force))
        except ValueError as error:  # the user's mistake, as on the command line
            line = " ".join(str(error).split())
            logger.error(line)
            return Failed(name="Refused", message=line)

    keyword = inspect.Parameter.KEYWORD_ONLY
    fields = [inspect.Parameter(name, keyword, default=None) for name in form.model.model_fields]
    run.__signature__ = inspect.Signature(fields)  # type: ignore[attr-defined]
    run.__name__ = flow.name
    described = flow.function.__doc__
    return Flow(run, name=flow.name, description=described, validate_parameters=False, persist_result=False)


def _run(workspace: Workspace, flow: AnyFlow, experiment: Experiment, options: Options) -> Any:
    """What `lm FLOW EXPERIMENT` does, in the flow run that there is already."""
    context = FlowRunContext.get()
    assert context and context.flow_run
    waiting = workspace.private / "up" / f"{flow.name}~{experiment.name}.run"
    if context.flow_run.auto_scheduled:
        with try_lock(waiting) as is_alone:
            if not is_alone:
                return Completed(name="Skipped", message="the run before it is still going on")
    logger = get_run_logger()
    with lock(waiting, on_wait=lambda: logger.info("waiting for a run of the same experiment to end")):
        session, lines = make_plan(workspace, flow, experiment, options)
        _introduce(context.flow_run, f"{experiment.name} {session.run_id}")
        close_leftovers(session)
        session.listener = Silent()
        has_work = any(line.action in ("run", "depends") for line in lines)
        try:
            run_in_context(replace(session, may_build=has_work), flow, experiment)
        except WorkTurnedUp:
            run_in_context(replace(session, may_build=True), flow, experiment)
        keep_in_step(session, flow, experiment)
    return None


def _introduce(run: Any, name: str) -> None:
    """Name the run as those from a terminal are named, unless somebody did, and say which process it is."""
    api = PrefectApi(os.environ["PREFECT_API_URL"])
    sign(api, str(run.id))
    if MADE_UP.fullmatch(run.name):
        api.ask(f"/flow_runs/{run.id}", {"name": name}, "PATCH")
