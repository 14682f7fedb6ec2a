"""The end of a run: the page that tells of it, and a line about what it cost and saved."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from tasks.engine.session import Session


def write_page(session: Session) -> Path | None:
    """Write the run's report page; None where it cannot be written, and a run is no worse for that."""
    from tasks.costs import note_run
    from tasks.report import write_report

    with suppress(OSError):
        note_run(session)
    try:
        return write_report(session, session.lines, session.outcomes, time.monotonic() - session.began)
    except OSError as error:
        session.listener.said("report", f"the page of this run could not be written: {error.strerror}")
        return None
