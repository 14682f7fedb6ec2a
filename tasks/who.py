"""Who does something to a registered model, for its journal."""

from __future__ import annotations

from tasks.engine.step import current


def who() -> str | None:
    """The run that does it, or (None) whoever is at the keyboard."""
    from tasks.tracking.journal import whoami

    try:
        session = current().session
    except RuntimeError:  # outside of a run: the doctor
        return None
    return f"{whoami()}, {session.flow} {session.experiment} {session.run_id}"
