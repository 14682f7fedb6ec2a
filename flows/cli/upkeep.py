"""Keeping a workspace in order: accepting changed code, pruning, and the doctor."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.text import Text

from flows.cli.catalog import find_flow, flow_names
from flows.cli.screen import Screen, console
from tasks.engine.checks.finding import Finding
from tasks.engine.doctor import examine, mend
from tasks.engine.prune import Pruned, prune
from tasks.engine.reach import product_folders
from tasks.engine.run import Options
from tasks.engine.workspace import Workspace, find_workspace
from tasks.words import count, size

LISTED = ("product", "unfinished work", "set aside")
"""Kinds that are told one by one; of notes and objects only the sum."""


def accept_command(
    flow_name: str, name: str, overrides: Sequence[str], options: Options, is_trusting: bool
) -> None:
    """Accept changed code that makes the same bytes; with a difference, say so and end with code 1."""
    from flows.cli.running import open_run
    from tasks.engine.acceptance import NotEqual, accept_code
    from tasks.engine.run import make_plan

    workspace, flow, experiment = open_run(flow_name, name, overrides)
    session, _ = make_plan(workspace, flow, experiment, options)
    out = console()
    with Screen(out) as session.listener:
        try:
            verdicts = accept_code(session, flow, experiment, is_trusting=is_trusting)
        except NotEqual as error:
            print(f"lm: {error}", file=sys.stderr)
            raise typer.Exit(1) from None
    if verdicts:
        out.print(f"{count(len(verdicts), 'step')} accepted, in accepted.yaml (keep it in git)", style="bold")
    else:
        out.print("nothing to accept: no step would run for its code alone", style="bold")


def prune_command(days: float, is_dry_run: bool) -> None:
    workspace, out = find_workspace(), console()
    _know_all_steps()
    pruned = prune(workspace, days=days, is_dry_run=is_dry_run)
    for item in pruned.items:
        if item.kind in LISTED:
            out.print(_line(size(item.size), workspace.address(item.path), item.why))
    _show_totals(out, pruned, is_dry_run)
    for line in pruned.kept:
        out.print(f"kept: {line}", style="yellow")


def _show_totals(out: Console, pruned: Pruned, is_dry_run: bool) -> None:
    if not pruned.items:
        out.print("nothing to prune: all there is can be reached, or was used of late", style="bold")
        return
    told = [f"{count(number, kind)} ({size(total)})" for kind, (number, total) in pruned.totals().items()]
    verb = "would go" if is_dry_run else "gone"
    out.print(
        f"{verb}: {', '.join(told)}; {size(sum(item.size for item in pruned.items))} in all", style="bold"
    )


def doctor_command(is_fixing: bool, with_notes: bool, is_thorough: bool) -> None:
    """Tell what is wrong, and mend it if asked; ends with code 1 if something is (still) wrong."""
    workspace, out = find_workspace(), console()
    _know_all_steps()
    findings = examine(workspace, is_thorough=is_thorough)
    tried: set[Finding] = set()
    # What was hidden shows when it is mended: a registry without versions behind a database that is damaged.
    while is_fixing and (fresh := [finding for finding in findings if finding.mend and finding not in tried]):
        tried.update(fresh)
        for done in mend(fresh, with_notes=with_notes):
            told = f"not mended ({done.error}): " if done.error else "mended: "
            out.print(Text(f"{told}{done.finding.what}", style="red" if done.error else "green"))
        findings = examine(workspace, is_thorough=is_thorough)
    for finding in findings:
        out.print(Text(f"{'note' if finding.is_note else 'found'}: {finding.what}; {finding.cure}"))
    faults = [finding for finding in findings if not finding.is_note]
    if not faults:
        out.print(_all_well(workspace), style="bold")
        return
    mendable = sum(finding.mend is not None for finding in faults)
    hint = f"; lm doctor --fix mends {_of(mendable, faults)}" if mendable and not is_fixing else ""
    out.print(f"{count(len(faults), 'thing')} to see to{hint}", style="bold")
    raise typer.Exit(1)


def _of(mendable: int, faults: Sequence[Finding]) -> str:
    return "it" if len(faults) == 1 else "all of them" if mendable == len(faults) else f"{mendable} of them"


def _all_well(workspace: Workspace) -> str:
    from tasks.tracking.versions import versions

    products, registered = len(product_folders(workspace)), len(versions(workspace.root))
    return (
        f"all is well: {count(products, 'product')} and {count(registered, 'registered version')} looked at"
    )


def _line(*words: str) -> Text:
    amount, address, why = words
    return Text(f"  {amount:>8}  {address:<60}  {why}")


def _know_all_steps() -> None:
    """Import every flow, so that each step is known: which ones can go on, and where products lie."""
    for name in flow_names():
        find_flow(name)
