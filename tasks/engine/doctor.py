"""`lm doctor`: what a kill, a full disk or a new version of a library has left, with the cure of each.

A finding knows how to mend itself where that loses nothing that anybody needs: what is damaged is set aside,
never deleted, and the next run restores it or makes it again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tasks.engine.checks import databases, forgetting, machine, products, releases, remains, runs
from tasks.engine.checks.finding import Finding
from tasks.engine.workspace import Workspace

Check = Callable[[Workspace, bool], Iterable[Finding]]
CHECKS: tuple[Check, ...] = (
    machine.disk,
    machine.libraries,
    databases.databases,
    runs.prefect_runs,
    runs.mlflow_runs,
    runs.server,
    remains.unfinished_work,
    remains.half_moved_products,
    remains.half_written_files,
    remains.broken_links,
    forgetting.interrupted,
    products.accepted_code,
    products.whole_products,
    products.registered_copies,
    releases.lost_versions,
    releases.pending_moves,
    releases.foreign_journals,
    releases.aliases_of_nothing,
    products.ledgers,
    products.cached_versions,
)


@dataclass(frozen=True)
class Mended:
    """A finding, and what came of mending it."""

    finding: Finding
    error: str | None = None


def examine(workspace: Workspace, *, is_thorough: bool = False) -> list[Finding]:
    """All that is not as it should be, and (as notes) what waits to be gone on with.

    Args:
        is_thorough: hash every byte of products, copies and DVC's cache, and read databases in full.
    """
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += check(workspace, is_thorough)
        except (ValueError, OSError, sqlite3.Error) as error:
            found.append(Finding(" ".join(str(error).split()), "mend that first, then look again"))
    return list(dict.fromkeys(found))


def mend(findings: Sequence[Finding], *, with_notes: bool = False) -> list[Mended]:
    """Mend what can be mended.

    Args:
        with_notes: also take away what the next run could go on with.
    """
    done, seen = [], set()
    for finding in findings:
        if finding.mend is None or (finding.is_note and not with_notes):
            continue
        try:
            if finding.mend not in seen:  # one cure may be that of several findings
                finding.mend()
            seen.add(finding.mend)
            done.append(Mended(finding))
        except Exception as error:  # the next one may still be mended
            done.append(Mended(finding, f"{type(error).__name__}: {' '.join(str(error).split())}"))
    return done
