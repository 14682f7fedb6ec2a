"""Where the bytes of a workspace are: by kind, and by the experiment that they belong to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tasks.engine.reach import links
from tasks.engine.workspace import Workspace

RUNS = "reports/runs"
SHARED, UNLINKED, PAGES, OTHER = "shared by several", "earlier versions", "pages of runs", "everything else"
LEFT_OUT = (".git", ".venv", "node_modules")
PLACES = (
    ("sources in the workspace", ("data/sources",)),
    ("data products", ("data",)),
    ("models", ("models",)),
    ("reports", ("reports",)),
    ("DVC's cache of data versions", (".dvc",)),
    ("MLflow's registered models", ()),
    ("MLflow's runs and database", ("mlartifacts", "mlflow.db", "mlflow.db-wal", "mlflow.db-shm")),
    ("unfinished work", (".lm/scratch",)),
    ("pieces of data steps, for the next run", (".lm/pieces",)),
    ("damaged or replaced, set aside", (".lm/aside", ".lm/trash")),
    ("Prefect's database and logs", (".lm/prefect", ".lm/up")),
    ("notes and proofs", (".lm",)),
)
"""Kind -> where it lies; of nested places the innermost counts."""
REGISTERED = "MLflow's registered models"


@dataclass
class Usage:
    """Bytes of files; a file with several names counts once, where it is met first."""

    kinds: dict[str, int] = field(default_factory=dict)
    experiments: dict[str, int] = field(default_factory=dict)
    """Of data, models and reports alone."""

    @property
    def total(self) -> int:
        return sum(self.kinds.values())


def usage(workspace: Workspace) -> Usage:
    """Walk the workspace; what lies elsewhere (sources by path, a remote) is not in it."""
    found, owners = Usage({kind: 0 for kind, _ in PLACES}), _owners(workspace)
    places = _places(workspace)
    seen: set[tuple[int, int]] = set()
    for path, stat in _files(workspace.root):
        if (stat.st_dev, stat.st_ino) in seen:
            continue
        seen.add((stat.st_dev, stat.st_ino))
        relative = path.relative_to(workspace.root).as_posix()
        kind = _kind(relative, places)
        found.kinds[kind] = found.kinds.get(kind, 0) + stat.st_size
        if kind in ("data products", "models", "reports"):
            owner = owners.get("/".join(relative.split("/")[:2]), _owner_of_data(relative))
            found.experiments[owner] = found.experiments.get(owner, 0) + stat.st_size
    found.kinds = {kind: size for kind, size in found.kinds.items() if size}
    found.experiments = dict(sorted(found.experiments.items(), key=lambda item: -item[1]))
    return found


def _files(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for folder, folders, names in os.walk(root):
        if Path(folder) == root:
            folders[:] = [name for name in folders if name not in LEFT_OUT]
        for name in sorted(names):
            path = Path(folder) / name
            try:
                if not path.is_symlink():
                    yield path, path.stat()
            except OSError:  # it went while we looked
                continue


def _places(workspace: Workspace) -> list[tuple[str, str]]:
    """(beginning of an address, kind), the longest first."""
    from tasks.tracking.versions import versions

    homes = [version.home for version in versions(workspace.root)]
    places = [(place, kind) for kind, of in PLACES for place in of]
    for home in homes:
        if home.is_relative_to(workspace.root):
            places.append((home.relative_to(workspace.root).as_posix(), REGISTERED))
    return sorted(places, key=lambda place: -len(place[0]))


def _kind(relative: str, places: list[tuple[str, str]]) -> str:
    for place, kind in places:
        if relative == place or relative.startswith(f"{place}/"):
            return kind
    return OTHER


def _owners(workspace: Workspace) -> dict[str, str]:
    """Address of a model or report -> the experiment whose link leads to it."""
    owners: dict[str, set[str]] = {}
    for link in links(workspace):
        target = Path(os.path.normpath(link.parent / link.readlink()))
        if target.is_relative_to(workspace.root):
            address = "/".join(target.relative_to(workspace.root).parts[:2])
            owners.setdefault(address, set()).add(link.parent.name)
    return {address: next(iter(names)) if len(names) == 1 else SHARED for address, names in owners.items()}


def _owner_of_data(relative: str) -> str:
    """`data/<kind>/<name>/...` belongs to the name."""
    parts = relative.split("/")
    if parts[0] == "data":
        return parts[2] if len(parts) > 3 else OTHER
    is_page = "/".join(parts[:2]) == RUNS or len(parts) < 3
    return PAGES if is_page else UNLINKED
