"""`lm who-saw` and `lm forget`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.cli.catalog import find_flow, flow_names
from flows.cli.screen import console
from lmcore.config import SettingsError
from tasks.engine.workspace import Workspace, find_workspace
from tasks.forgetting.ledger import FILE
from tasks.words import count, size

if TYPE_CHECKING:
    from tasks.forgetting.forget import Forgetting
    from tasks.forgetting.items import Item
    from tasks.forgetting.sightings import SeenProduct, SeenText, SeenVersion, Sightings
    from tasks.forgetting.subject import Subject

LISTED = ("product", "report", "page", "attachment", "source", "database", "leftover", "note")
"""Kinds that are told one by one; of objects in DVC's cache only the sum."""
SHOWN = 8
"""Documents that are listed one by one."""


def who_saw_command(given: str, as_json: bool) -> None:
    """Every product, model and version that comes from a file."""
    from tasks.forgetting.sightings import Sightings
    from tasks.forgetting.subject import find_subject

    workspace = find_workspace()
    seen = Sightings(workspace, find_subject(workspace, given))
    if as_json:
        sys.stdout.write(json.dumps(seen.as_json(), indent=1, ensure_ascii=False) + "\n")
        return
    show_sightings(console(), seen)


def forget_command(
    given: str,
    why: str,
    is_dry_run: bool,
    is_agreed: bool,
    keep_file: bool,
    is_retiring: bool,
    in_remote: bool = False,
) -> None:
    """Exclude a file for good, and remove all that holds its text; ends with code 1 if something is left."""
    from tasks.forgetting.forget import Forgetting
    from tasks.forgetting.subject import find_subject

    workspace, out = find_workspace(), console()
    know_all_steps()
    subject = find_subject(workspace, given)
    forgetting = Forgetting(workspace, subject, why, keep_file=keep_file, in_remote=in_remote)
    _show_what_goes(out, workspace, forgetting, is_dry_run)
    if is_dry_run:
        _show_retraining(out, workspace, forgetting)
        return
    if not is_agreed and not _agrees(forgetting):
        raise SettingsError("nothing was done; --yes goes on without asking, --dry-run only tells")
    done = forgetting.carry_out()
    total = size(sum(done.sizes))
    out.print(
        f"gone: {_by_kind(done.gone)}; {total} in all" if done.gone else "nothing had to go", style="bold"
    )
    _say(out, f"excluded for good by {FILE} (keep it in git; without its line the file is read again)")
    left = done.left + (_retire(out, workspace, forgetting) if is_retiring else [])
    _show_retraining(out, workspace, forgetting)
    for line in left:
        out.print(Text(f"left: {line}", style="red"))
    if left:
        raise typer.Exit(1)


def _retire(out: Console, workspace: Workspace, forgetting: Forgetting) -> list[str]:
    from tasks.forgetting.retire import retire

    done = retire(workspace, forgetting.seen, f"it saw what was {forgetting.line.told}")
    for name in done.gone:
        _say(out, f"retired: {name}")
    return done.left


def _show_what_goes(out: Console, workspace: Workspace, forgetting: Forgetting, is_dry_run: bool) -> None:
    for line in subject_in_words(forgetting.subject):
        _say(out, line)
    items = forgetting.found.items
    for item in items:
        if item.kind in LISTED:
            _say(out, f"  {size(item.size):>8}  {workspace.address(item.path)}  {item.why}")
    if items:
        verb = "would go" if is_dry_run else "to go"
        out.print(f"{verb}: {_by_kind(items)}; {size(sum(item.size for item in items))}", style="bold")
    _show_away(out, forgetting)
    for line in forgetting.found.kept:
        out.print(Text(f"stays: {line}", style="yellow"))
    for line in _weights(forgetting.seen.versions):
        out.print(Text(f"stays: {line}", style="yellow"))


def _show_away(out: Console, forgetting: Forgetting) -> None:
    """What DVC's remote has of it."""
    away = forgetting.away
    if away is None:
        return
    if isinstance(away, str):
        out.print(Text(f"stays: {away}", style="yellow"))
    elif forgetting.in_remote:
        out.print(Text(f"goes too, for all who use it: {away.told}", style="bold"))
    else:
        out.print(
            Text(f"stays: {away.told}; --remote deletes them there, for all who use it", style="yellow")
        )


def _weights(versions: Sequence[SeenVersion]) -> Iterator[str]:
    """What becomes of the models that saw it."""
    from tasks.forgetting.retire import has_learned

    learned = ", ".join(each.called for each in versions if has_learned(each) and each.documents)
    unknown = ", ".join(each.called for each in versions if not each.documents)
    measured = ", ".join(each.called for each in versions if not has_learned(each))
    cure = "train without it, release that, then: lm forget FILE --retire"
    if learned:
        yield f"the weights of {learned}, which learned from it; {cure}"
    if unknown:
        yield f"the weights of {unknown}; whether they learned any of it is not on record; {cure}"
    if measured:
        yield f"{measured}: only measured by it, or chosen by it, so the weights hold nothing of it"


def _agrees(forgetting: Forgetting) -> bool:
    if not sys.stdin.isatty():
        return False
    has_source = any(item.kind == "source" for item in forgetting.found.items)
    own = " The file itself in data/sources goes too (--keep-file keeps it)." if has_source else ""
    return typer.confirm(f"Remove all this?{own} It cannot be undone", default=False)


def _by_kind(items: Sequence[Item]) -> str:
    counts = Counter(item.kind for item in items)
    return ", ".join(count(number, kind) for kind, number in counts.items())


def _show_retraining(out: Console, workspace: Workspace, forgetting: Forgetting) -> None:
    """What the next run of each experiment that used the file makes anew."""
    from tasks.forgetting.ledger import supposing

    with supposing(forgetting.line):
        for flow, name in experiments_of(workspace, forgetting.seen.products):
            _show_plan(out, flow, name)


def _show_plan(out: Console, flow: str, name: str) -> None:
    from flows.cli.running import open_run, summary
    from tasks.engine.run import make_plan

    try:
        _, lines = make_plan(*open_run(flow, name, ()))
    except ValueError as error:
        out.print(Text(f"lm {flow} {name} cannot be planned: {error}", style="yellow"))
        return
    out.print(f"next: lm {flow} {name}   {summary(lines, True)}", style="bold")
    for line in lines:
        if line.action == "run":
            _say(out, f"  run  {line.label}  {line.why}")


def experiments_of(workspace: Workspace, products: Sequence[SeenProduct]) -> list[tuple[str, str]]:
    """(flow, name) of the experiments by which these products were made, as far as they are still there."""
    from tasks.engine.experiment import known_experiments

    known = known_experiments(workspace)
    made = {each.manifest.provenance.get("experiment") for each in products}
    return sorted((path.parent.name, name) for name in known if name in made for path in known[name])


def know_all_steps() -> None:
    """Import every flow, so that each step is known."""
    for name in flow_names():
        find_flow(name)


def show_sightings(out: Console, seen: Sightings) -> None:
    for line in subject_in_words(seen.subject):
        _say(out, line)
    if not seen.products and not seen.versions:
        _say(out, "no product saw it")
        return
    _show_documents(out, seen.products)
    for each in seen.versions:
        _say(out, f"model     {each.called}: {_sides(each.documents)}")
        if each.version.forgotten:
            _say(out, f"          marked: {each.version.forgotten}")
    if not seen.versions:
        _say(out, "no registered model saw it")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("product", "at", "digest", "now"):
        table.add_column(title, no_wrap=True)
    for made in seen.products:
        what = f"{made.manifest.step} {made.manifest.name}"
        table.add_row(*map(Text, (what, made.address, made.manifest.digest[:12], made.state)))
    out.print(table)


def subject_in_words(subject: Subject) -> Iterator[str]:
    """What was asked for, and where it was read from."""
    there = f"sha256 {subject.digest[:12]}" if subject.digest else "deleted since, or elsewhere"
    yield f"file      {subject.given} ({there})"
    for place, digests in sorted(subject.seen.items()):
        known = ", ".join(sorted(digest[:12] for digest in digests))
        yield f"read as   {place}, found {subject.how(place)} ({known})"
    for line in subject.lines:
        yield f"          {line.told} ({line.who})"


def _show_documents(out: Console, products: Sequence[SeenProduct]) -> None:
    for each in products:
        documents = [text for text in each.documents if text.kind == "document"]
        for text in documents[:SHOWN]:
            why = f" ({text.why})" if text.why else ""
            title = f" “{text.title}”" if text.title else ""
            _say(out, f"document  {each.address}: {text.side}{why}, line {text.line}{title}")
        if len(documents) > SHOWN:
            _say(out, f"          and {len(documents) - SHOWN} more: {_sides(documents[SHOWN:])}")
        if asked := [text for text in each.documents if text.kind != "document"]:
            _say(out, f"asked in  {each.address}: {_sides(asked)}")


def _sides(texts: Iterable[SeenText]) -> str:
    """`2 documents in train, 1 document in test`."""
    counts = Counter((text.kind, text.side) for text in texts)
    told = [f"{count(number, kind)} in {side}" for (kind, side), number in counts.items()]
    return ", ".join(told) or "by what it was made from; none of its documents is on record"


def _say(out: Console, line: str) -> None:
    out.print(Text(line))
