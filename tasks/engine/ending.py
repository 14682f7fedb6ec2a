"""The end of a run: the page that tells of it."""

from __future__ import annotations

import time
from pathlib import Path

from tasks.engine.session import Session


def write_page(session: Session) -> Path | None:
    """Write the run's report page; None where it cannot be written, and a run is no worse for that."""
    from tasks.report import write_report

    try:
        return write_report(session, session.lines, session.outcomes, time.monotonic() - session.began)
    except OSError as error:
        session.listener.said("report", f"the page of this run could not be written: {error.strerror}")
        return None
