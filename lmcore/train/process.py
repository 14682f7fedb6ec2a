"""Training in a process of its own, that can be stopped from outside.

Exit codes: 0 finished; 2 a mistake of the user, told in one line on stderr; 143 (130) stopped by SIGTERM
(SIGINT) or by `stop_after`, with the state saved: the same request goes on from there.
"""

from __future__ import annotations

import pkgutil
import signal
import sys
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TypeVar

from pydantic import ValidationError

from lmcore import runtime
from lmcore.config import SettingsError, explain
from lmcore.train.settings import Request

R = TypeVar("R", bound=Request)


def run_process(arguments: list[str], kind: type[Request], entry: str) -> int:
    """Run one request, named on the command line; returns the exit code.

    `entry` is the function to call with (request, is_stop_wanted), as `package.module:function`; it is
    imported late, since threads have to be set before torch is there.
    """
    stop = StopSignal()
    try:
        request = read_request(arguments, kind)
    except SettingsError as error:
        return complain(error)
    runtime.limit_threads(1)  # training has lanes of its own
    from lmcore.train.loop import Interrupted

    try:
        pkgutil.resolve_name(entry)(request, stop.is_wanted)
    except Interrupted as interrupted:
        print(interrupted, file=sys.stderr)
        return 128 + stop.number
    except (ValueError, OSError) as error:
        return complain(error)
    return 0


class StopSignal:
    """Remembers a request to stop, so that the loop can end its step and save its state."""

    def __init__(self) -> None:
        self.number = signal.SIGTERM.value
        self._event = Event()
        for kind in (signal.SIGTERM, signal.SIGINT):
            signal.signal(kind, self._note)

    def is_wanted(self) -> bool:
        """Whether a signal has come."""
        return self._event.is_set()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._event.set()


def read_request(arguments: list[str], kind: type[R]) -> R:
    """The request in the file that the command line names.

    Raises:
        SettingsError: there is no such file, or it holds no valid request.
    """
    if len(arguments) != 1:
        raise SettingsError("expected one argument, the file that holds the request: REQUEST.json")
    try:
        return kind.model_validate_json(Path(arguments[0]).read_bytes())
    except OSError as error:
        raise SettingsError(f"cannot read the request {arguments[0]}: {error.strerror}") from None
    except ValidationError as error:
        raise SettingsError(f"{arguments[0]}: {explain(error, kind)}") from None


def complain(error: Exception) -> int:
    """Tell a user's mistake in one line."""
    print(" ".join(str(error).split()), file=sys.stderr)
    return 2
