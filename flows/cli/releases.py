"""`lm rollback` and `lm history`: back to what served before, and who moved what, when and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.cli.screen import console
from lmcore.config import SettingsError, did_you_mean
from tasks.engine.workspace import find_workspace
from tasks.tracking.journal import Entry, Journal, journals
from tasks.tracking.moves import finish, rollback
from tasks.tracking.standing import BY_HAND, CHAMPION, PREVIOUS, ROLLBACK, moves_of, standing
from tasks.tracking.versions import aliases_of, numbers_of, versions

NOBODY = "nobody"


def rollback_command(model: str, to: str | None, why: str) -> None:
    """Move `champion` back, and say where it was and is."""
    root, out = find_workspace().root, console()
    name = _known(root, model)
    number = _number(to) if to else None
    begun, told = {entry.id for entry in Journal(root, name).pending()}, []

    def tell(entry: Entry) -> None:
        told.append(entry)
        what = "finished, it was interrupted: " if entry.id in begun else ""
        what = "moved past lm before: " if entry.facts["cause"] == BY_HAND and not what else what
        out.print(Text(f"{name}: {what}{', '.join(_arrow(*move) for move in moves_of(entry))}"))
        if entry.facts["cause"] == ROLLBACK:
            held = aliases_of(root, name)
            before = (
                f"v{held[PREVIOUS]}, where another lm rollback {name} goes" if PREVIOUS in held else NOBODY
            )
            out.print(f"{name}@{CHAMPION} is v{held.get(CHAMPION)} now; before it: {before}", style="bold")
        out.file.flush()

    made = rollback(root, name, number, why, tell=tell)
    if not told:
        out.print(f"{name}@{CHAMPION} is v{made.version} already; nothing was moved")


def history_command(model: str) -> None:
    """The journal of a model as a table, oldest line first."""
    root, out = find_workspace().root, console()
    name = _known(root, model)
    finish(root, name)
    journal = Journal(root, name)
    entries = journal.entries()
    if not entries:
        out.print(f"releases/{journal.path.name} is not begun: nothing was moved since there are journals")
    else:
        _show(out, entries, {entry.id for entry in journal.pending()})
    out.print(f"now: {aliases_now(root, name)}", style="bold")


def aliases_now(root: Path, name: str) -> str:
    """`champion v2, previous v1`, and what the registry has lost of it."""
    held, known = aliases_of(root, name), standing(Journal(root, name).entries()).aliases
    lost = {
        alias: of for alias, of in known.items() if alias not in held and of not in numbers_of(root, name)
    }
    told, gone = (
        ", ".join(f"{alias} v{number}" for alias, number in sorted(each.items())) for each in (held, lost)
    )
    return (told or "no aliases") + (f"; lost, see lm doctor: {gone}" if gone else "")


def _known(root: Path, model: str) -> str:
    """The model's name, without the `@champion` behind it.

    Raises:
        SettingsError: it was never registered.
    """
    name = model.removeprefix("models:/").partition("@")[0]
    known = {version.name for version in versions(root)} | {journal.model for journal in journals(root)}
    if name not in known:
        raise SettingsError(f"no registered model '{name}'.{did_you_mean(name, known)}")
    return name


def _number(which: str) -> int:
    digits = which.removeprefix("v")
    if not digits.isdecimal() or int(digits) < 1:
        raise SettingsError(f"--to is '{which}'; expected a version such as v3")
    return int(digits)


def _show(out: Console, entries: Sequence[Entry], pending: set[int]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("line", "when", "who", "what", "moved"):
        table.add_column(title, no_wrap=True)
    table.add_column("why", overflow="fold")
    digests, released = _numbers(entries), standing(entries).released
    for entry in entries:
        is_open = entry.id in pending or _is_overtaken(entry, digests, released)
        for number, row in enumerate(_rows(entry, is_open, digests)):
            head = (str(entry.id), _minute(entry.when), entry.who) if number == 0 else ("", "", "")
            table.add_row(*(Text(cell) for cell in (*head, *row)))
    out.print(table)


def _is_overtaken(entry: Entry, digests: Mapping[str, int], released: Collection[int]) -> bool:
    """Whether a verdict wanted a version released that never was: another one came first, or a kill."""
    number = digests.get(entry.facts.get("challenger", ""))
    return entry.facts.get("word") == "promote" and number is not None and number not in released


def _rows(entry: Entry, is_open: bool, digests: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    """(what, moved, why): a move has a row for each alias. What is open was not done, or not to the end."""
    facts = entry.facts
    if entry.kind == "move":
        what = facts["cause"] + (" (interrupted)" if is_open else "")
        for number, move in enumerate(moves_of(entry)):
            yield (what, _arrow(*move), facts["why"]) if number == 0 else ("", _arrow(*move), "")
    elif entry.kind == "verdict":
        page = f" ({facts['report']})" if facts.get("report") else ""
        told = f"{facts.get('sentence', '')}{page}"
        yield (
            f"verdict: {facts.get('word', '')}{', not done' if is_open else ''}",
            _sides(facts, digests),
            told,
        )
    elif entry.kind == "look":
        spent = f", spends {facts['error_rate']:.3g} of the error rate" if "error_rate" in facts else ""
        test_set = str(facts.get("test_set", ""))[:12]
        told = f"{facts.get('documents', '?')} documents of test set {test_set}{spent}"
        yield "look", _sides(facts, digests), told
    elif entry.kind == "forgotten":
        told = f": {facts['why']}" if facts.get("why") else ""
        yield "forgotten", f"v{facts['version']} saw it", f"{facts['files']}{told}"
    elif facts.get("left"):
        yield "done", "", f"line {facts['of']}; left as a hand had put it: {', '.join(facts['left'])}"


def _numbers(entries: Sequence[Entry]) -> dict[str, int]:
    """Version by digest, as the moves name them."""
    named = (entry.facts["digests"].items() for entry in entries if entry.kind == "move")
    return {digest: int(number) for each in named for number, digest in each}


def _sides(facts: Mapping[str, Any], digests: Mapping[str, int]) -> str:
    sides = [facts.get("challenger"), facts.get("champion")]
    return " against ".join(f"v{digests[side]}" if side in digests else side[:12] for side in sides if side)


def _arrow(alias: str, before: int | None, after: int | None) -> str:
    sides = (f"v{number}" if number else NOBODY for number in (before, after))
    return f"{alias} {' -> '.join(sides)}"


def _minute(when: str) -> str:
    return when[:16].replace("T", " ")
