"""Where a model comes from, what differs between two, and one product in words."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lmcore.config import SettingsError
from lmcore.lineage import Manifest
from tasks.engine.workspace import Workspace, find_workspace
from tasks.lineage.find import Found, find_product

if TYPE_CHECKING:
    from tasks.lineage.diff import Side
    from tasks.lineage.graph import Node

SHOWN_DETAILS = 12


def lineage_command(
    called: str,
    as_json: bool,
    html: Path | None,
    is_opened: bool,
    openlineage: Path | None,
    cyclonedx: Path | None,
) -> None:
    workspace = find_workspace()
    found = find_product(workspace, called)
    root = found.trace(workspace)
    if html or is_opened:
        _write_page(workspace, found, root, html, is_opened)
    if openlineage:
        from tasks.lineage.exports.openlineage import events

        _write(openlineage, events(root), "OpenLineage events, one a line")
    if cyclonedx:
        _write_bill(cyclonedx, found, root)
    if not (html or is_opened or openlineage or cyclonedx):
        _show(found, root, as_json)


def _show(found: Found, root: Node, as_json: bool) -> None:
    from tasks import lineage

    if as_json:
        sys.stdout.write(lineage.as_json(root))
        return
    if version := found.version:
        aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
        run = f", run {version.run_id}" if version.run_id else ""  # what was made elsewhere has none here
        print(f"registered model {version.name} v{version.version}{aliases}{run}")
        if version.forgotten:
            print(f"it saw what was forgotten since: {version.forgotten}")
    sys.stdout.write(lineage.as_text(root))


def _write_page(workspace: Workspace, found: Found, root: Node, html: Path | None, is_opened: bool) -> None:
    from tasks.lineage.page import About, render

    is_registered, why = found.version is not None, _why(workspace, found)
    forgotten = found.version.forgotten if found.version else ""
    about = About(
        found.title, is_registered=is_registered, scores=_scores(found), why=why, forgotten=forgotten
    )
    file = html or workspace.private / "pages" / f"lineage-{root.digest[:12]}.html"
    _write(file, render(root, about), "where it comes from, on one page")
    if is_opened:
        import webbrowser

        if not webbrowser.open(file.absolute().as_uri()):
            print("there is no browser here; open that file in one")


def _write_bill(file: Path, found: Found, root: Node) -> None:
    from tasks.lineage.exports.cyclonedx import bill_of_materials

    version = found.version
    name, number = (version.name, f"v{version.version}") if version else (root.name, root.digest[:12])
    _write(file, bill_of_materials(root, name, number, _scores(found)), "CycloneDX bill of materials")


def _write(file: Path, text: str, what: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"cannot write {file}: {error.strerror}; name another file") from None
    print(f"wrote {file}: {what}")


def _scores(found: Found) -> dict[str, float]:
    """A registered version's own numbers on the test side."""
    return found.version.scores if found.version else {}


def _why(workspace: Workspace, found: Found) -> str:
    """Why a registered version was chosen among others, if its registration is still there."""
    from tasks.engine.reach import registrations

    if (version := found.version) is None:
        return ""
    entries = [entry for _, entry in registrations(workspace)]
    is_its = (version.name, version.digest)
    return next((each["why"] for each in entries if (each.get("name"), each.get("digest")) == is_its), "")


def diff_command(was: str, now: str, as_json: bool, is_full: bool) -> None:
    from tasks.lineage import diff

    workspace = find_workspace()
    sides = [_side(workspace, called) for called in (was, now)]
    difference = diff.diff(*sides)
    most = None if is_full else SHOWN_DETAILS
    sys.stdout.write(diff.as_json(difference) if as_json else diff.as_text(difference, most))


def _side(workspace: Workspace, called: str) -> Side:
    from tasks.lineage.diff import Side
    from tasks.lineage.diff.documents import documents_behind

    found = find_product(workspace, called)
    root = found.trace(workspace)
    home = found.version.home if found.version else None
    return Side(
        found.title,
        root,
        _scores(found),
        documents_behind(workspace, root, home),
        _asked(home) if home else None,
    )


def _asked(home: Path) -> Mapping[str, Collection[str]] | None:
    from lmcore.conversations.seen import read_seen_conversations

    try:
        return read_seen_conversations(home)
    except ValueError:  # it was not taught to answer
        return None


def explain_command(called: str) -> None:
    from tasks.lineage.explain import Part, as_text, explain

    workspace = find_workspace()
    found = find_product(workspace, called)
    parts = explain(workspace, found)
    manifest = found.trace(workspace).manifest
    if manifest:
        parts.append(Part("Next run", (_next_run(manifest, found.artifact.address),)))
    sys.stdout.write(as_text(found.title, parts))


def _next_run(manifest: Manifest, address: str) -> str:
    """What the run that made a product would make of it now."""
    from flows.cli.running import open_run
    from tasks.engine.run import make_plan
    from tasks.engine.store import Store

    flow, experiment = (manifest.provenance.get(name) for name in ("flow", "experiment"))
    if not flow or not experiment:
        return "nobody can say: which run made it is not known here"
    command = f"lm {flow} {experiment}"
    try:
        _, lines = make_plan(*open_run(flow, experiment, ()))
    except SettingsError as error:
        return f"nobody can say: {command} cannot be planned now ({error})"
    label = f"{manifest.step} {manifest.name}"
    line = next((each for each in lines if each.label == label), None)
    if line is None:
        return f"{command} would not ask for it any more"
    if line.action == "reuse":
        workspace = find_workspace()
        there = Store(workspace).read(workspace.path(line.address))
        is_it = line.address == address and there.digest == manifest.digest
        return f"{command} would reuse {'it' if is_it else _twin(manifest, there, line.address)}"
    words = {
        "restore": "would restore it",
        "run": "would make it anew",
        "depends": "may have to make it anew",
    }
    return f"{command} {words[line.action]}: {line.why}"


def _twin(manifest: Manifest, other: Manifest, address: str) -> str:
    """What has taken a product's place, and why."""
    from tasks.engine.reasons import differences, in_words

    why = in_words(differences(manifest.key_document, other.key_document))
    return f"{address} in its place: {why}"
