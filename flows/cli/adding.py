"""`lm add`: a pile of files becomes a source: looked at, guessed, shown, and written down."""

from __future__ import annotations

import glob
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
import yaml
from rich.table import Table
from rich.text import Text

from flows.cli.screen import console
from flows.cli.tables import excerpt
from lmcore.config import PLAIN_NAME, SettingsError
from tasks.engine.workspace import Workspace, find_workspace
from tasks.words import count, size

if TYPE_CHECKING:
    from rich.console import Console

    from lmcore.corpus.guessing import Guess, Look
    from lmcore.corpus.settings import Source

SHOWN = 3
"""Documents of the sample."""
SNIPPET = 160
"""Characters of each."""
NOT_SAID = "not said yet"
FINETUNE = "`own_conversations: [{{name: {name}, path: ..., licence: ...}}]` in an experiment"


def add_command(place: str, name: str | None, licence: str | None, is_agreed: bool) -> None:
    """Look at files, show what they would become, and write `data/sources/<name>/source.yaml`.

    Raises:
        SettingsError: there is nothing to read, the name is taken, or the licence is missing.
    """
    from lmcore.corpus.guessing import guess_source, look

    workspace, out, licence = find_workspace(), console(), (licence or "").strip()
    name = name or _name_of(place)
    target = workspace.sources / name / "source.yaml"
    _check(name, target)
    described = {
        "title": name.replace("_", " "),
        "origin": place,
        "licence": licence or NOT_SAID,
        **_at(place),
    }
    root, files = _files(workspace, name, described)
    guess = guess_source(root, files)
    _show_pile(out, place, guess)
    seen = look(guess, root, files)
    _show_look(out, guess, seen)
    if not seen.documents:
        raise SettingsError(f"{place}: no document found{_cure(guess)}")
    described["licence"] = licence or _ask_licence(place, name)
    described |= {"files": list(guess.files)} if guess.files and "files" not in described else {}
    text = yaml.safe_dump(
        {**described, "reader": guess.reader}, sort_keys=False, allow_unicode=True, width=999
    )
    out.print(Text(f"\n{workspace.address(target)}", style="bold"))
    out.print(Text(text))
    if not is_agreed and sys.stdin.isatty() and not typer.confirm("Write it?", default=True):
        raise SettingsError("nothing was written")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    experiment = f"{workspace.address(workspace.experiments)}/build_assistant/{name}.yaml"
    out.print(Text(f"wrote {workspace.address(target)}; the texts stay where they are"))
    if guess.is_conversations:
        out.print(Text(f"these are questions and answers: {FINETUNE.format(name=name)} finetunes on them"))
    out.print(Text(f'next: echo "sources: [{name}]" > {experiment} && lm prepare_corpus {name}'))


def _cure(guess: Guess) -> str:
    if guess.is_conversations:
        return f"; these are questions and answers: {FINETUNE.format(name='NAME')} finetunes on them"
    return "; the reasons stand above"


def _name_of(place: str) -> str:
    last = place.rstrip("/").rpartition("/")[2] or "texts"
    stem = last.partition(".")[0] or last
    return "".join(letter if letter.isalnum() else "_" for letter in stem.lower()).strip("_") or "texts"


def _check(name: str, target: Path) -> None:
    if not re.fullmatch(PLAIN_NAME, name):
        raise SettingsError(f"--name {name}: expected letters, digits, '.', '-' and '_'")
    if target.parent.exists():
        raise SettingsError(f"there is a source '{name}' already ({target.parent}); give another --name")


def _at(place: str) -> dict[str, Any]:
    """How a description names the place: one file by its folder and its name."""
    if "://" in place:
        return {"path": place}
    path = Path(os.path.normpath(Path(place).expanduser().absolute()))
    if path.is_file() and path.name.startswith("."):
        raise SettingsError(
            f"{place}: hidden files are never read; give the file another name to have it read"
        )
    if path.is_file():
        return {"path": str(path.parent), "files": [glob.escape(path.name)]}
    if not path.is_dir():
        raise SettingsError(
            f"{place}: no such file or folder; give a path, or an address (s3://bucket/folder)"
        )
    return {"path": str(path)}


def _files(workspace: Workspace, name: str, described: dict[str, Any]) -> tuple[Path, list[Path]]:
    """The folder of the files, and their names; what lies at an address is fetched."""
    from lmcore.corpus.settings import Source, SourceChoice
    from lmcore.corpus.sources import find_files
    from tasks.ingest import FETCHED, bring

    source: Source = Source.model_validate(described)
    choice = SourceChoice(name=name, source=source)
    root = bring(workspace, source, choice, workspace.root)
    return root, find_files(source, workspace.root, choice, workspace.private / FETCHED)


def _show_pile(out: Console, place: str, guess: Guess) -> None:
    files = sum(number for number, _ in guess.kinds.values())
    out.print(Text(f"{place}: {count(files, 'file')}, {size(sum(each for _, each in guess.kinds.values()))}"))
    table = Table("kind", "files", "size", "read by", box=None, header_style="dim", padding=(0, 2, 0, 2))
    for kind, (number, total) in sorted(guess.kinds.items(), key=lambda each: (-each[1][1], each[0])):
        by = str(guess.reader["type"]) if guess.takes(kind) else "left out"
        table.add_row(Text(f".{kind}" if kind else "no suffix"), f"{number:,}", size(total), by)
    out.print(table)
    if left := sum(number for kind, (number, _) in guess.kinds.items() if guess.could_take(kind)):
        what = "it" if left == 1 else "one of them, or on a folder of one kind,"
        told = f"left out: {count(left, 'file')} of other kinds; `lm add` on {what} makes another source"
        out.print(Text(told, style="dim"))


def _show_look(out: Console, guess: Guess, seen: Look) -> None:
    reader = yaml.safe_dump(
        guess.reader, default_flow_style=True, sort_keys=False, allow_unicode=True, width=999
    )
    out.print(Text(f"reader: {reader.strip()}"))
    looked = f"{count(seen.documents, 'document')} in the beginnings of {count(seen.num_files, 'file')}"
    out.print(f"{looked}, such as:" if seen.sample else looked)
    for file, draft in seen.sample[:SHOWN]:
        cut = excerpt(draft.text, SNIPPET)
        out.print(Text(f"  {file}, line {draft.line}" + (f', "{draft.title}"' if draft.title else "")))
        out.print(Text(f"    {cut}", style="dim"))
    if seen.troubles:
        out.print(f"would be put aside: {count(seen.troubles.total(), 'record')}")
        for rule, number in sorted(seen.troubles.items()):
            out.print(Text(f"  {number:,} {rule}: {seen.examples[rule]}", style="dim"))


def _ask_licence(place: str, name: str) -> str:
    """Why the texts may be used: nobody but the user can know.

    Raises:
        SettingsError: there is nobody to ask, or no answer.
    """
    command = f"lm add {shlex.quote(place)} --name {name} --licence 'CC BY 4.0'"
    said = ""
    if sys.stdin.isatty():
        said = str(typer.prompt("Licence (such as CC BY 4.0, public domain, my own)", default="")).strip()
    if not said:
        raise SettingsError(f"the licence is missing; say under which the texts may be used: {command}")
    return said
