"""Looking at the data again and again, from a terminal."""

from __future__ import annotations

import time

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
    out, told = console(), None
    out.print(f"looking at the data of {name} every {duration(every)}; Ctrl-C ends it", style="dim")
    while True:
        workspace, flow, experiment = open_run(FLOW, name, [])
        planned = make_plan(workspace, flow, experiment)
        if any(line.action != "reuse" for line in planned[1]):
            run_command(FLOW, name, [], Options())
        else:
            before, told = told, run_flow(workspace, flow, experiment, planned=planned).told
            if told != before:
                out.print("\n".join(told))
        time.sleep(every)
