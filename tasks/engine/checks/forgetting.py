"""A file that was to be forgotten, and of which a kill has left something."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tasks.engine.checks.finding import Finding
from tasks.engine.workspace import Workspace


def interrupted(workspace: Workspace, _: bool) -> Iterator[Finding]:
    """Commands that were killed before all was removed that they had found."""
    from tasks.forgetting.forget import interrupted

    for path in interrupted(workspace):
        what = f"forgetting {path} was interrupted, and some of its text may still be here"
        yield Finding(what, f"lm forget {path}", partial(_finish, workspace, path))


def _finish(workspace: Workspace, path: str) -> None:
    from tasks.forgetting.forget import Forgetting
    from tasks.forgetting.subject import find_subject

    left = Forgetting(workspace, find_subject(workspace, path), keep_file=True).carry_out().left
    if left:
        raise OSError("; ".join(left))
