"""Where a run's page lies: `reports/runs/<experiment>-<run id>.html`, and a link to the latest."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from tasks.engine.plan import Line
from tasks.engine.session import Outcome, Session
from tasks.engine.store import write_small

RUNS, LATEST = "reports/runs", "report.html"


def write_report(
    session: Session,
    lines: Sequence[Line],
    outcomes: Mapping[str, Outcome],
    seconds: float,
    finished: datetime | None = None,
) -> Path:
    """Write the page of a run that is over, and let `reports/<experiment>/report.html` point to it.

    A run that made nothing new writes no page while the latest one tells of all its products.

    Args:
        lines: the plan that the run followed.
        outcomes: what became of each call, by its label.
        seconds: how long the run took.
        finished: when it ended; now, if left out.

    Returns:
        The page that tells of this run's products.

    Raises:
        OSError: it could not be written; a run is no worse for that.
    """
    latest = session.workspace.path("reports") / session.experiment / LATEST
    is_new = any(outcome.action != "reused" for outcome in outcomes.values())
    if not is_new and _tells_of(latest, outcomes):
        return latest.resolve()
    from tasks.report.facts import gather
    from tasks.report.page import render

    run = gather(session, lines, outcomes, seconds, finished or datetime.now().astimezone())
    page = session.workspace.path(RUNS) / f"{session.experiment}-{session.run_id}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    write_small(page, render(run))
    _point(latest, page)
    return page


def _tells_of(page: Path, outcomes: Mapping[str, Outcome]) -> bool:
    """Whether a page names every product of a run."""
    try:
        text = page.read_text(encoding="utf-8")
    except OSError:
        return False
    return all(outcome.manifest.digest[:12] in text for outcome in outcomes.values())


def _point(link: Path, page: Path) -> None:
    """A relative link, swapped in one step."""
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(os.path.relpath(page, link.parent))
    fresh.replace(link)
