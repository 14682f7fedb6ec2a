"""`lm push` and `lm pull`: products to and from DVC's default remote."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from flows.cli.running import open_run
from flows.cli.screen import Screen, console
from tasks.engine.exchange import Pushed, pull, push
from tasks.engine.workspace import find_workspace
from tasks.words import count, size

STYLES = {"pushed": "bold", "there": "green", "skipped": "yellow"}


def push_command(experiments: Sequence[str]) -> None:
    workspace, out = find_workspace(), console()

    def tell(product: Pushed) -> None:
        text = Text("  ")
        text.append(f"{product.outcome:<9}", STYLES[product.outcome])
        text.append(f"{product.address:<48}")
        text.append(product.why or f"{size(product.size):>8}", "dim")
        out.print(text)

    pushed = push(workspace, experiments, tell)
    if not pushed:
        out.print("no products yet; nothing was pushed")
        return
    new = [product for product in pushed if product.outcome == "pushed"]
    there = sum(product.outcome == "there" for product in pushed)
    bytes_pushed = size(sum(product.size for product in new))
    out.print(f"{count(len(new), 'product')} pushed, {bytes_pushed}; {there} were there", style="bold")


def pull_command(flow_name: str, name: str, overrides: Sequence[str]) -> None:
    workspace, flow, experiment = open_run(flow_name, name, overrides)
    out = console()
    with Screen(out) as screen:
        lines = pull(workspace, flow, experiment, screen)
    restored, here = (sum(line.action == action for line in lines) for action in ("restore", "reuse"))
    lacking = [line.label for line in lines if line.action in ("run", "depends")]
    for label in lacking:
        out.print(f"  lacking  {label}", style="yellow")
    out.print(f"{count(restored, 'product')} restored, {here} were here", style="bold")
    if lacking:
        command = " ".join(["lm", flow.name, name, *overrides])
        out.print(f"{count(len(lacking), 'product')} nobody has pushed; {command} makes them", style="bold")
