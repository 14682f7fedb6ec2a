"""A run that Prefect's server asked for: the entry of a deployment, in a process of its own."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from typing import Any

from prefect import Flow, State
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from tasks.engine.experiment import Experiment
from tasks.engine.flow import AnyFlow
from tasks.engine.forms import Form, Request
from tasks.engine.locks import lock, try_lock
from tasks.engine.prefect_api import PrefectApi, sign
from tasks.engine.prefect_flow import close_leftovers
from tasks.engine.run import Options, going, make_plan, run_flow
from tasks.engine.workspace import Workspace

Open = Callable[[Request], tuple[Workspace, AnyFlow, Experiment]]
MADE_UP = re.compile(r"[A-Za-z]+\d*-[A-Za-z]+")
"""Names that Prefect and its pages give to runs: `refined-bat`, `eta790-ise`."""


def entry(flow: AnyFlow, form: Form, open_run: Open) -> Flow[..., Any]:
    """What Prefect loads and calls in the process of a run; its parameters are the fields of the form."""

    def run(**filled_in: Any) -> Any:
        context, logger = FlowRunContext.get(), get_run_logger()
        assert context and context.flow_run
        try:
            sign(PrefectApi(os.environ["PREFECT_API_URL"]), str(context.flow_run.id))
            request = form.request({name: value for name, value in filled_in.items() if value is not None})
            logger.info(request.command(flow.name))
            return _run(context.flow_run, *open_run(request), Options(request.force, in_flow_run=True))
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


def _run(
    run: FlowRun, workspace: Workspace, flow: AnyFlow, experiment: Experiment, options: Options
) -> State[Any] | None:
    """What `lm FLOW EXPERIMENT` does, in the flow run that there is already; one at a time."""
    mine = going(workspace, experiment.name)
    if run.auto_scheduled or flow.gives_way:
        with try_lock(mine) as is_alone:
            if not is_alone:
                return Completed(name="Skipped", message="another run of this experiment is still going on")
    logger = get_run_logger()
    with lock(mine, on_wait=lambda: logger.info("waiting for a run of the same experiment to end")):
        session, lines = make_plan(workspace, flow, experiment, options)
        if MADE_UP.fullmatch(run.name):  # else somebody has named it
            name = {"name": f"{experiment.name} {session.run_id}"}
            PrefectApi(os.environ["PREFECT_API_URL"]).ask(f"/flow_runs/{run.id}", name, "PATCH")
        close_leftovers(session)
        for line in run_flow(workspace, flow, experiment, options, planned=(session, lines)).told:
            logger.info(line)
    return None
