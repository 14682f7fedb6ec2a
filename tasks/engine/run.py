"""Plan a flow, and run what the plan says has to be run.

With nothing to make, everything happens in this process and no server is started.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lmcore.config import SettingsError, did_you_mean
from tasks.engine.direct import Direct
from tasks.engine.ending import write_page
from tasks.engine.experiment import Experiment
from tasks.engine.flow import AnyFlow
from tasks.engine.plan import Line, Planner, following
from tasks.engine.session import Listener, NoTracker, ReachedUntil, Session, Silent, WorkTurnedUp
from tasks.engine.stages import is_dvc_in_charge, keep_in_step
from tasks.engine.step import executing
from tasks.engine.workspace import Workspace


@dataclass(frozen=True)
class Options:
    """What the user asked for beside the experiment."""

    force: tuple[str, ...] = ()
    """Steps to make again."""
    start: str | None = None
    """Make this step and all that follows it again."""
    until: str | None = None
    """End after this step."""
    verify: bool = False
    refresh: bool = False
    use_prefect: bool = True
    """Off: every step runs in this process, without server and tracker; for tests."""
    in_flow_run: bool = False
    """There is a Prefect flow run already: all steps are tasks of it, reused ones too."""


@dataclass(frozen=True)
class Result:
    """How a run went."""

    session: Session
    lines: list[Line]
    """The plan that it followed."""
    answer: object = None
    """What the flow returned; None when `until` ended it early."""
    told: Sequence[str] = ()
    """What is to be said of what followed, see `flow(after=...)`."""


def make_plan(
    workspace: Workspace, flow: AnyFlow, experiment: Experiment, options: Options = Options()
) -> tuple[Session, list[Line]]:
    """What a run would do, and the session that would do it.

    Raises:
        SettingsError: an option names a step that the flow does not have.
    """
    session = Session(
        workspace,
        flow=flow.name,
        experiment=experiment.name,
        verify=options.verify,
        refresh=options.refresh,
    )
    lines = _plan(session, flow, experiment)
    forced = _forced(lines, options)
    _check_until(lines, options.until)
    if forced or options.until:
        session = replace(session, forced=frozenset(forced), until=options.until)
        lines = _plan(session, flow, experiment)
    if options.start and not forced.intersection(line.label for line in lines):
        raise SettingsError(
            f"--from {options.start} comes after --until {options.until}; nothing is left to run"
        )
    return replace(session, lines=tuple(lines)), lines


def run_flow(
    workspace: Workspace,
    flow: AnyFlow,
    experiment: Experiment,
    options: Options = Options(),
    listener: Listener | None = None,
    planned: tuple[Session, list[Line]] | None = None,
) -> Result:
    """Make what is not there yet, reuse what is proved."""
    session, lines = planned or make_plan(workspace, flow, experiment, options)
    session.listener = listener or Silent()
    try:
        answer = _run(session, flow, experiment, lines, options)
    except Exception:
        keep_in_step(session, flow, experiment)  # what was finished before is there
        raise
    keep_in_step(session, flow, experiment)
    told = flow.after(workspace, experiment, answer) if flow.after and answer is not None else ()
    return Result(session, lines, answer, told)


def going(workspace: Workspace, experiment: str) -> Path:
    """The lock of an experiment's runs: those in terminals share it, those that are served hold it alone."""
    return workspace.private / "up" / f"{experiment}.run"


def _run(
    session: Session, flow: AnyFlow, experiment: Experiment, lines: list[Line], options: Options
) -> object:
    has_work = any(line.action in ("run", "depends") for line in lines)
    if options.in_flow_run:
        return _in_flow_run(session, flow, experiment, has_work)
    use_prefect = options.use_prefect and not is_dvc_in_charge()
    if not has_work or not use_prefect:
        with suppress(WorkTurnedUp):
            return _here(session, flow, experiment, not use_prefect)
        session = _once_more(session)
    return _on_prefect(session, flow, experiment)


def _in_flow_run(session: Session, flow: AnyFlow, experiment: Experiment, has_work: bool) -> object:
    """Run in the flow run that a deployment has begun."""
    from tasks.engine.prefect_flow import run_in_context

    session = replace(session, may_build=has_work)
    with suppress(WorkTurnedUp):
        return run_in_context(session, flow, experiment)
    return run_in_context(_once_more(session), flow, experiment)


def _once_more(session: Session) -> Session:
    """The session of the run that follows when something turned up that has to be made after all."""
    again = replace(session, may_build=True)
    again.useless_copies |= session.useless_copies
    return again


def _here(session: Session, flow: AnyFlow, experiment: Experiment, may_build: bool) -> object:
    """Run in this process, without server and tracker."""
    session.tracker, session.may_build = NoTracker(), may_build
    answer = None
    with executing(Direct(session)), suppress(ReachedUntil):
        answer = flow(experiment)
    if session.flow:
        write_page(session)
    return answer


def _plan(session: Session, flow: AnyFlow, experiment: Experiment) -> list[Line]:
    planner = Planner(session)
    with executing(planner), suppress(ReachedUntil):
        flow(experiment)
    return planner.lines


def _on_prefect(session: Session, flow: AnyFlow, experiment: Experiment) -> object:
    """Run as a Prefect flow run with MLflow keeping the books."""
    from tasks.engine.server import prefect_environment, prefect_server

    os.environ.update(prefect_environment(session.workspace))
    with prefect_server(session.workspace) as url:
        os.environ["PREFECT_API_URL"] = url
        from tasks.engine.prefect_flow import run_on_prefect

        return run_on_prefect(session, flow, experiment)


def _forced(lines: list[Line], options: Options) -> set[str]:
    labels = {label for name in options.force for label in _labels(lines, name)}
    if options.start:
        for label in _labels(lines, options.start):
            labels |= following(lines, label)
    return labels


def _labels(lines: Sequence[Line], step: str) -> list[str]:
    """The calls of a step: by its name, or one of them by its full label."""
    found = [line.label for line in lines if step in (line.label, line.label.partition(" ")[0])]
    if not found:
        raise SettingsError(f"no step named '{step}' in this flow.{did_you_mean(step, _names(lines))}")
    return found


def _check_until(lines: Sequence[Line], until: str | None) -> None:
    if until and until not in _names(lines):
        raise SettingsError(f"no step named '{until}' in this flow.{did_you_mean(until, _names(lines))}")


def _names(lines: Sequence[Line]) -> set[str]:
    return {line.label.partition(" ")[0] for line in lines}
