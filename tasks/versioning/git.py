"""Which commit a workspace stands at; git is asked, never told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TypedDict

WRITTEN_BY_RUNS = ("dvc.lock", "dvc.yaml", "releases")
"""What a run changes itself, in no way that makes another product of the same commit."""


class GitState(TypedDict):
    """Which commit the code and the experiments stand at."""

    commit: str
    dirty: bool


def git_state(workspace: Path) -> GitState | None:
    """The workspace's commit, and whether files differ from it; None where there is no commit."""
    commit = _git(workspace, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return None
    left_out = [f":(exclude){file}" for file in WRITTEN_BY_RUNS]
    changes = _git(workspace, "status", "--porcelain", "--untracked-files=normal", "--", ".", *left_out)
    return {"commit": commit.strip(), "dirty": bool(changes is None or changes.strip())}


def _git(workspace: Path, *arguments: str) -> str | None:
    # Optional locks off: looking must not write to the index while the user's own git runs.
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", str(workspace), *arguments],
            capture_output=True,
            env=environment,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
