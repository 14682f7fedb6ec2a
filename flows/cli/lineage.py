"""Where a model comes from, what differs between two, and one product in words."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lmcore.config import SettingsError
from lmcore.lineage import Manifest
from tasks.engine.workspace import Workspace, find_workspace
from tasks.lineage.find import Found, find_product

if TYPE_CHECKING:
    from tasks.lineage.diff import Side
    from tasks.lineage.graph import Node

PAGE = "lineage"
SHOWN_DETAILS = 12


def lineage_command(
    called: str,
    as_json: bool,
    html: Path | None,
    is_opened: bool,
    openlineage: Path | None,
    cyclonedx: Path | None,
) -> None:
    from tasks.lineage import as_json as to_json
    from tasks.lineage import as_text

    workspace = find_workspace()
    found = find_product(workspace, called)
    root = found.trace(workspace)
    if html or is_opened:
        _write_page(workspace, found, root, html, is_opened)
    if openlineage:
        from tasks.lineage.exports.openlineage import events

        _write(openlineage, events(root), "OpenLineage events, one a line")
    if cyclonedx:
        from tasks.lineage.exports.cyclonedx import bill_of_materials

        version = found.version
        named = (version.name, f"v{version.version}") if version else (root.name, root.digest[:12])
        _write(cyclonedx, bill_of_materials(root, *named, _scores(found)), "CycloneDX bill of materials")
    if html or is_opened or openlineage or cyclonedx:
        return
    if as_json:
        sys.stdout.write(to_json(root))
        return
    if version := found.version:
        aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
        run = f", run {version.run_id}" if version.run_id else ""  # what was made elsewhere has none here
        print(f"registered model {version.name} v{version.version}{aliases}{run}")
    sys.stdout.write(as_text(root))


def _write_page(workspace: Workspace, found: Found, root: Node, html: Path | None, is_opened: bool) -> None:
    from tasks.lineage.page import About, render

    about = About(found.title, is_registered=found.version is not None, scores=_scores(found))
    file = html or workspace.private / "pages" / f"{PAGE}-{root.digest[:12]}.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    _write(file, render(root, about), "the page")
    if is_opened:
        import webbrowser

        if not webbrowser.open(file.absolute().as_uri()):
            print("no browser was found here; open that file in one")


def _write(file: Path, text: str, what: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"cannot write {file}: {error.strerror}; name a file in a folder that there is"
        ) from None
    print(f"wrote {file}: {what}")


def _scores(found: Found) -> dict[str, float]:
    """A registered version's own numbers on the test side."""
    tags = found.version.tags if found.version else {}
    return {name: float(value) for name, value in tags.items() if name.startswith("test/")}


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
    return Side(found.title, root, _scores(found), documents_behind(workspace, root, home))


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

    made = manifest.provenance
    flow, experiment = made.get("flow") or "build_assistant", made.get("experiment") or manifest.name
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
        return f"{command} would reuse {'it' if line.address == address else _twin(manifest, line.address)}"
    words = {
        "restore": "would restore it",
        "run": "would make it anew",
        "depends": "may have to make it anew",
    }
    return f"{command} {words[line.action]}: {line.why}"


def _twin(manifest: Manifest, address: str) -> str:
    """What has taken a product's place, and why."""
    from tasks.engine.reasons import differences, in_words
    from tasks.engine.store import Store

    workspace = find_workspace()
    other = Store(workspace).read(workspace.path(address))
    why = in_words(differences(manifest.key_document, other.key_document))
    return f"{address} in its place: {why}"
