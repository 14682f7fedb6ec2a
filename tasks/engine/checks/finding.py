"""One thing that a check has found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """What is not as it should be, in one line with its cure."""

    what: str
    cure: str
    mend: Callable[[], None] | None = field(default=None, compare=False)
    """Puts it right; None where only the user can."""
    is_note: bool = False
    """Nothing is wrong, but it should not be forgotten."""
