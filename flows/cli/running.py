"""Planning and running a flow, seen from the terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from flows.cli.catalog import find_flow, kind_of
from flows.cli.screen import console
from tasks.engine.experiment import Experiment, load_experiment
from tasks.engine.flow import AnyFlow
from tasks.engine.locks import try_lock
from tasks.engine.plan import Line
from tasks.engine.run import Options, going, make_plan, run_flow
from tasks.engine.stages import is_dvc_in_charge
from tasks.engine.supervisor import is_up
from tasks.engine.workspace import Workspace, find_workspace
from tasks.sweep import Variant, sweep, sweep_name, variants_of
from tasks.words import count, duration, size

STYLES = {"run": "bold", "depends": "yellow", "restore": "cyan", "reuse": "green"}


def plan_command(flow_name: str, name: str, overrides: Sequence[str], options: Options, probe: bool) -> None:
    workspace, flow, experiment = open_run(flow_name, name, overrides)
    if probe:
        from tasks.probe import measure_training

        measure_training(workspace, experiment)
    _, lines = make_plan(workspace, flow, experiment, options)
    show_plan(console(), lines, is_up(workspace))
    _warn_of_remote(console(), workspace)


def run_command(flow_name: str, name: str, overrides: Sequence[str], options: Options) -> Sequence[str]:
    """Run it and show how it goes; returns what was said at the end of what followed."""
    started = time.monotonic()
    workspace, flow, experiment = open_run(flow_name, name, overrides)
    planned = make_plan(workspace, flow, experiment, options)
    _, lines = planned
    out = console()
    is_served = is_up(workspace)
    out.print(f"{flow.name} {experiment.name}: {summary(lines, is_served)}", style="bold")
    _warn(out, lines)
    _warn_of_remote(out, workspace)
    has_work = any(line.action in ("run", "depends") for line in lines)
    if has_work and not is_served and not is_dvc_in_charge():
        out.print("  starting Prefect's server (some ten seconds where none is up) ...", style="dim")
    from flows.cli.screen import Screen

    # A served run that holds it alone is no obstacle: products have locks of their own.
    with try_lock(going(workspace, experiment.name), shared=True), Screen(out) as screen:
        result = run_flow(workspace, flow, experiment, options, screen, planned)
    from flows.cli.results import show_results

    show_results(out, workspace, result, time.monotonic() - started)
    for line in result.told:
        out.print(line)
    return result.told


def open_run(flow_name: str, name: str, overrides: Sequence[str]) -> tuple[Workspace, AnyFlow, Experiment]:
    """What a command line asks for: a flow with an experiment, or a sweep of that flow over several.

    Raises:
        SettingsError: there is no such flow, experiment or setting.
    """
    workspace = find_workspace()
    use_parts(workspace)
    flow, points = find_flow(flow_name), variants_of(overrides)
    experiments = [load_experiment(workspace, flow_name, name, changes, kind_of) for _, changes in points]
    if len(points) == 1:
        return workspace, flow, experiments[0]
    variants = [Variant(dials, each) for (dials, _), each in zip(points, experiments, strict=True)]
    fixed = [override for override in overrides if override.partition("=")[0] not in points[0][0]]
    base = load_experiment(workspace, flow_name, name, fixed, kind_of)
    return workspace, sweep(flow, variants), base.model_copy(update={"name": sweep_name(base, variants)})


def use_parts(workspace: Workspace) -> None:
    """Let the registries find what the workspace adds under `parts/`."""
    from lmcore.registry import workspace_parts

    parts = workspace.root / "parts"
    if parts.is_dir() and parts not in workspace_parts:
        workspace_parts.append(parts)


def summary(lines: Sequence[Line], is_served: bool) -> str:
    """`2 steps to run, 8 reused; about 4 min, 1.2 GB of memory, 40 MB of disk`."""
    words = {"run": "to run", "depends": "that may have to run", "restore": "to restore", "reuse": "reused"}
    counts = {action: sum(line.action == action for line in lines) for action in words}
    told = [f"{number} {words[action]}" for action, number in counts.items() if number]
    work = [line.forecast for line in lines if line.action in ("run", "depends")]
    if not work:
        return f"{count(len(lines), 'step')}, " + ", ".join(told) + "; nothing to make"
    seconds, disk = sum(each.seconds for each in work), sum(each.disk for each in work)
    memory = max(each.memory for each in work)
    cost = f"about {duration(seconds)}, {size(memory)} of memory, {size(disk)} of disk"
    server = "" if is_served or is_dvc_in_charge() else ", and some 10 s for Prefect's server"
    return f"{count(len(lines), 'step')}, {', '.join(told)}; {cost}{server}"


def show_plan(out: Console, lines: Sequence[Line], is_served: bool) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("", "step", "why"):
        table.add_column(title, overflow="fold")
    for title in ("time", "memory", "disk"):
        table.add_column(title, justify="right", no_wrap=True)
    for line in lines:
        cost = _cost(line) if line.action in ("run", "depends") else ("", "", "")
        table.add_row(f"[{STYLES[line.action]}]{line.action}[/]", line.label, line.why, *cost)
    out.print(table)
    out.print(summary(lines, is_served), style="bold")
    _warn(out, lines)
    if any(line.action == "run" and not line.is_measured for line in lines):
        out.print("~ from nominal speeds: this step has not run here yet", style="dim")


def _cost(line: Line) -> tuple[str, str, str]:
    """Time (with ~ where it was never measured here), memory and disk."""
    forecast = line.forecast
    about = "" if line.is_measured else "~"
    memory = size(forecast.memory) if forecast.memory >= 1e6 else "< 1 MB"
    return about + duration(forecast.seconds), memory, size(forecast.disk)


def _warn(out: Console, lines: Sequence[Line]) -> None:
    drifts: dict[str, list[str]] = {}
    for line in lines:
        if line.warning:
            drifts.setdefault(line.warning, []).append(line.label)
    for warning, labels in drifts.items():
        out.print(f"note: {warning} ({', '.join(labels)}); reused, unless you say --refresh", style="yellow")


def _warn_of_remote(out: Console, workspace: Workspace) -> None:
    """Say that the remote was asked for a product and did not answer."""
    from tasks.engine.shared import Shared

    if trouble := Shared(workspace).trouble:
        out.print(f"note: {trouble}; going on without it", style="yellow")
