"""A user's work, apart from the tool: a folder with data/, experiments/, models/, reports/ and `.lm/`.

Found upward from the current folder, or named by `LM_WORKSPACE`. The repository is itself one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lmcore.config import SettingsError

MARKER = ".lmworks"
"""An empty file that makes a folder a workspace."""


@dataclass(frozen=True)
class Workspace:
    """Where a run reads and writes; every address in a manifest is relative to `root`."""

    root: Path

    @cached_property
    def private(self) -> Path:
        """`.lm/`: locks, scratch, proofs, records; nothing in it is the only copy of anything."""
        return self.root / ".lm"

    @property
    def sources(self) -> Path:
        return self.root / "data" / "sources"

    @property
    def experiments(self) -> Path:
        """The user's experiments; the repository keeps its own beside its flows."""
        beside_flows = self.root / "flows" / "experiments"
        return beside_flows if beside_flows.is_dir() else self.root / "experiments"

    def path(self, address: str) -> Path:
        return self.root / address

    def address(self, path: Path) -> str:
        """A path as it stands in manifests: relative to the root where it lies inside."""
        path = path.absolute()
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()


def find_workspace(start: Path | None = None) -> Workspace:
    """The workspace that `LM_WORKSPACE` names, else the first one from `start` upward.

    Raises:
        SettingsError: there is none.
    """
    if named := os.environ.get("LM_WORKSPACE"):
        root = Path(named).expanduser().absolute()
        if not (root / MARKER).is_file():
            raise SettingsError(f"LM_WORKSPACE is {named}, which is no workspace; make one: lm init {named}")
        return Workspace(root)
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / MARKER).is_file():
            return Workspace(folder)
    raise SettingsError(f"no workspace at {here} or above it; make one: lm init FOLDER")
