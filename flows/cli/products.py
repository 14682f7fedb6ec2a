"""What there is, and what is going on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from flows.cli.screen import console
from lmcore.lineage import MANIFEST, Manifest
from tasks.engine.experiment import known_experiments
from tasks.engine.locks import is_held
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace, find_workspace
from tasks.words import count, duration, size

RECENT = 12


def list_command() -> None:
    workspace, out = find_workspace(), console()
    table = _table("product", "step", "name", "size", "digest", "made", "took")
    for folder, manifest in _products(workspace):
        made = manifest.provenance
        table.add_row(
            workspace.address(folder),
            manifest.step,
            manifest.name,
            size(manifest.size),
            manifest.digest[:12],
            made.get("finished", "elsewhere")[:16].replace("T", " "),
            duration(made["seconds"]) if "seconds" in made else "",
        )
    if not table.row_count:
        known = ", ".join(known_experiments(workspace)) or "none yet"
        out.print(f"no products yet; start with: lm build_assistant EXPERIMENT (experiments here: {known})")
        return
    out.print(table)
    _models(workspace)


def _models(workspace: Workspace) -> None:
    from tasks.tracking.versions import versions

    table = _table("registered model", "version", "aliases", "digest", "bits per byte")
    for version in versions(workspace.root):
        bits = version.tags.get("test/bits_per_byte", "")
        aliases = " ".join(version.aliases) + ("" if version.folder.is_dir() else " (its files are gone)")
        table.add_row(version.name, f"v{version.version}", aliases, (version.digest or "")[:12], bits[:5])
    if table.row_count:
        console().print()
        console().print(table)


def status_command() -> None:
    from flows.cli.status import show_servers
    from tasks.tracking.processes import close_orphans

    workspace, out = find_workspace(), console()
    show_servers(out, workspace)
    out.print()
    if closed := close_orphans(workspace.root):
        out.print(f"{count(len(closed), 'MLflow run')} of processes that are gone closed as killed")
    locks = sorted((workspace.private / "locks").glob("*.build"))
    held = [lock.stem.replace("~", "/") for lock in locks if is_held(lock)]
    out.print(f"{count(len(held), 'product')} being made now" + "".join(f"\n  {address}" for address in held))
    made_here = [row for row in _products(workspace) if "finished" in row[1].provenance]
    recent = sorted(made_here, key=lambda row: row[1].provenance["finished"], reverse=True)[:RECENT]
    if not recent:
        return
    table = _table("made", "step", "name", "took", "run")
    for _, manifest in recent:
        made = manifest.provenance
        table.add_row(
            made["finished"][:19].replace("T", " "),
            manifest.step,
            manifest.name,
            duration(made["seconds"]),
            f"{made['flow']} {made['run']}",
        )
    out.print()
    out.print(table)


def _products(workspace: Workspace) -> Iterator[tuple[Path, Manifest]]:
    """Every product with its manifest; unreadable ones are passed over, a plan tells of them."""
    store = Store(workspace)
    for pattern in ("data/*/*", "models/*", "reports/*"):
        for folder in sorted(workspace.root.glob(pattern)):
            if (folder / MANIFEST).is_file():
                try:
                    yield folder, store.read(folder)
                except ValueError:
                    continue


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in titles:
        table.add_column(title, no_wrap=True)
    return table
