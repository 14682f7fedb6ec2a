"""Looking at the data again and again, from a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence

from flows.cli.running import open_run, run_command
from flows.cli.screen import console
from tasks.engine.run import Options, make_plan, run_flow
from tasks.words import duration

FLOW = "watch"


def watch_command(name: str, once: bool, every: float) -> None:
    """Look once, or until Ctrl-C; as long as nothing happens, nothing is said."""
    if once:
        run_command(FLOW, name, [], Options())
        return
    open_run(FLOW, name, [])  # a mistake ends it now, later it may be a file that somebody is writing
    out = console()
    out.print(f"looking at the data of {name} every {duration(every)}; Ctrl-C ends it", style="dim")
    told: Sequence[str] = ()
    while True:
        before, (told, is_shown) = told, _look(name)
        if told and told != before and not is_shown:
            out.print("\n".join(told))
        time.sleep(every)


def _look(name: str) -> tuple[Sequence[str], bool]:
    """What there is to say, and whether it was: a run that makes something says it itself."""
    try:
        workspace, flow, experiment = open_run(FLOW, name, [])
        planned = make_plan(workspace, flow, experiment)
        if any(line.action != "reuse" for line in planned[1]):
            return run_command(FLOW, name, [], Options()), True
        return run_flow(workspace, flow, experiment, planned=planned).told, False
    except ValueError as error:
        return [f"lm: {' '.join(str(error).split())}; looking again in a while"], False
