"""`lm cost` and `lm du`: what was spent, what reuse saved, and where the bytes are."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from flows.cli.screen import console
from lmcore.config import SettingsError, did_you_mean
from lmcore.lineage import Manifest
from tasks.costs import Cost, RunCost, Saved, by_step, ledger, saved, total
from tasks.engine.workspace import Workspace, find_workspace
from tasks.lineage.find import known_products
from tasks.words import count, duration, size

COLUMNS = ("products", "time", "processor", "GPU", "tokens learned", "memory", "size")


def cost_command(called: str | None) -> None:
    """Of everything here, of an experiment's runs, or of one model with all that it was made from."""
    workspace, out = find_workspace(), console()
    runs = ledger(workspace)
    products = list(known_products(workspace))
    if called is None:
        _show(out, "everything that was made here", products, saved(runs))
        _experiments(out, products, runs)
    elif "@" not in called and called in _experiments_in(products, runs):
        mine = [each for each in products if each.provenance.get("experiment") == called]
        of_mine = [run for run in runs if run.experiment == called]
        _show(out, f"what the runs of {called} have made", mine, saved(of_mine))
    else:
        _model(out, workspace, called, products, runs)


def _model(
    out: Console, workspace: Workspace, called: str, products: Sequence[Manifest], runs: list[RunCost]
) -> None:
    from tasks.lineage import ordered
    from tasks.lineage.find import find_product

    try:
        found = find_product(workspace, called)
    except SettingsError as error:
        known = sorted(_experiments_in(products, runs))
        raise SettingsError(f"{error}.{did_you_mean(called, known)}") from None
    nodes = ordered(found.trace(workspace))
    made = [node.manifest for node in nodes if node.manifest]
    _show(out, f"{found.title} and all that it was made from", made, saved(runs, [each.key for each in made]))
    if gaps := [node for node in nodes if node.is_gap]:
        out.print(f"not counted: {count(len(gaps), 'product')} whose record is gone", style="yellow")


def _experiments_in(products: Sequence[Manifest], runs: Sequence[RunCost]) -> set[str]:
    named = {str(each.provenance["experiment"]) for each in products if "experiment" in each.provenance}
    return named | {run.experiment for run in runs}


def _show(out: Console, title: str, made: Sequence[Manifest], reuse: Saved) -> None:
    if not made:
        out.print(f"{title}: nothing yet")
        return
    whole = total(made)
    table = _table("step", *COLUMNS)
    for step, cost in by_step(made).items():
        table.add_row(step, *_cells(cost))
    table.add_row("[bold]in all", *(f"[bold]{cell}" for cell in _cells(whole)))
    out.print(title, style="bold")
    out.print(table)
    if whole.unknown:
        out.print(
            f"{count(whole.unknown, 'product')} made elsewhere: what they took is not known here", style="dim"
        )
    out.print(_reuse(reuse))


def _reuse(reuse: Saved) -> str:
    if not reuse.products:
        return "nothing of it was reused so far"
    return (
        f"reused {count(reuse.products, 'time')} in {count(reuse.runs, 'run')}: "
        f"to make it again each time would have taken {duration(reuse.seconds)}"
    )


def _experiments(out: Console, products: Sequence[Manifest], runs: Sequence[RunCost]) -> None:
    table = _table("experiment", *COLUMNS, "reuse saved")
    for name in sorted(_experiments_in(products, runs)):
        mine = [each for each in products if each.provenance.get("experiment") == name]
        reuse = saved(run for run in runs if run.experiment == name)
        table.add_row(name, *_cells(total(mine)), duration(reuse.seconds) if reuse.products else "")
    if table.row_count > 1:
        out.print()
        out.print(table)


def _cells(cost: Cost) -> tuple[str, ...]:
    return (
        f"{cost.products:,}",
        duration(cost.seconds),
        duration(cost.cpu_seconds),
        duration(cost.gpu_seconds) if cost.gpu_seconds else "–",
        f"{cost.tokens:,}" if cost.tokens else "–",
        size(cost.peak_memory) if cost.peak_memory else "–",
        size(cost.size),
    )


def usage_command() -> None:
    """Bytes by kind and by experiment, and what `lm prune` would free."""
    from tasks.disk_usage import usage
    from tasks.engine.prune import prune

    workspace, out = find_workspace(), console()
    _know_all_steps()
    found = usage(workspace)
    table = _table("what", "size")
    for kind, number in sorted(found.kinds.items(), key=lambda item: -item[1]):
        table.add_row(kind, size(number))
    table.add_row("[bold]in all", f"[bold]{size(found.total)}")
    out.print(table)
    if found.experiments:
        table = _table("data, models and reports of", "size")
        for name, number in found.experiments.items():
            table.add_row(name, size(number))
        out.print()
        out.print(table)
    out.print()
    items = prune(workspace, is_dry_run=True).items
    freed = sum(item.size for item in items)
    told = (
        f"lm prune would free {size(freed)} ({count(len(items), 'thing')})" if items else "nothing to prune"
    )
    out.print(f"{told}; git's own files are not counted", style="bold")


def _know_all_steps() -> None:
    """Import every flow, so that prune knows which unfinished work can be gone on with."""
    from flows.cli.catalog import find_flow, flow_names

    for name in flow_names():
        find_flow(name)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first, no_wrap=True)
    for title in others:
        table.add_column(title, no_wrap=True, justify="right")
    return table
