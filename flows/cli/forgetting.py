"""`lm who-saw`, `lm forget` and `lm reproduce`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.cli.screen import console
from tasks.engine.workspace import find_workspace
from tasks.words import count

if TYPE_CHECKING:
    from tasks.forgetting.sightings import SeenProduct, SeenText, Sightings
    from tasks.forgetting.subject import Subject

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


def show_sightings(out: Console, seen: Sightings) -> None:
    for line in subject_in_words(seen.subject):
        _say(out, line)
    if not seen.products and not seen.versions:
        _say(out, "no product saw it")
        return
    _show_documents(out, seen.products)
    for each in seen.versions:
        _say(out, f"model     {each.called}: {_sides(each.documents)}")
        if forgotten := each.version.tags.get("lm.forgotten"):
            _say(out, f"          marked: {forgotten}")
    if not seen.versions:
        _say(out, "no registered model saw it")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("product", "at", "digest", "now"):
        table.add_column(title, no_wrap=True)
    for each in seen.products:
        what = f"{each.manifest.step} {each.manifest.name}"
        table.add_row(*map(Text, (what, each.address, each.manifest.digest[:12], each.state)))
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
        for text in each.documents[:SHOWN]:
            why = f" ({text.why})" if text.why else ""
            title = f" “{text.title}”" if text.title else ""
            _say(out, f"document  {each.address}: {text.side}{why}, line {text.line}{title}")
        if len(each.documents) > SHOWN:
            _say(out, f"          and {len(each.documents) - SHOWN} more: {_sides(each.documents[SHOWN:])}")


def _sides(texts: Iterable[SeenText]) -> str:
    """`2 documents in train, 1 document in test`."""
    counts = Counter(text.side for text in texts)
    told = [f"{count(number, 'document')} in {side}" for side, number in counts.items()]
    return ", ".join(told) or "by what it was made from; none of its documents is on record"


def _say(out: Console, line: str) -> None:
    out.print(Text(line))
