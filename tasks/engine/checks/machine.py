"""The machine: room on the disk, and libraries of the versions that were tried."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator
from importlib import metadata

from tasks.engine.checks.finding import Finding
from tasks.engine.key import CODE_ROOT
from tasks.engine.workspace import Workspace
from tasks.words import size

LEAST_FREE = 1e9
"""Bytes; below that a training run or a database may fail at any moment."""
PROJECT = "lmworks"


def disk(workspace: Workspace, _: bool) -> Iterator[Finding]:
    free = shutil.disk_usage(workspace.root).free
    if free < LEAST_FREE:
        yield Finding(
            f"the disk is nearly full: {size(free)} are free", "make room, for instance with lm prune"
        )


def libraries(_: Workspace, __: bool) -> Iterator[Finding]:
    """What is installed, against what the project asks for: newer is not always better."""
    from packaging.requirements import Requirement

    for line in _requirements():
        wanted = Requirement(line)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        cure = f"pip install '{wanted.name}{wanted.specifier}'"
        try:
            found = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            yield Finding(f"{wanted.name} is not installed", cure)
            continue
        if not wanted.specifier.contains(found, prereleases=True):
            yield Finding(f"{wanted.name} {found} is installed, and {wanted.specifier} is needed", cure)


def _requirements() -> list[str]:
    """Of the checkout that runs, else of the package that is installed."""
    try:
        project = tomllib.loads((CODE_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        return list(project["project"]["dependencies"])
    except (OSError, ValueError, KeyError):
        try:
            return list(metadata.requires(PROJECT) or [])
        except metadata.PackageNotFoundError:
            return []
