"""`python -m tasks.engine.guard PARENT PROGRAM ...`: run a program, and leave nothing of it behind.

Servers start processes of their own, which the kernel does not end with them. A guard does: when its parent
is gone (`kill -9` included) or it gets SIGTERM, it ends the program politely, then whatever that had started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lmcore.runtime import die_with_parent

PATIENCE_SECONDS = 90.0
"""For the program to end by itself; `lm down` waits as long."""
REST_SECONDS = 5.0
"""For what it leaves behind."""


def guarded(command: Sequence[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a program under a guard; a SIGTERM to the guard stops it."""
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "tasks.engine.guard", str(os.getpid()), *command],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )


class _Asked(Exception):
    """SIGTERM came."""


def main(parent: int, command: Sequence[str]) -> int:
    """The program's exit code."""
    program = None
    try:
        signal.signal(signal.SIGTERM, _ask)
        die_with_parent(signal.SIGTERM)
        if os.getppid() != parent:  # gone before that was arranged
            return 0
        program = subprocess.Popen(command, start_new_session=True, preexec_fn=die_with_parent)
        code = program.wait()
    except _Asked:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if program is None:
            return 0
        code = _end(program)
    _sweep(program.pid)
    return code


def _ask(*_: object) -> None:
    raise _Asked


def _end(program: subprocess.Popen[bytes]) -> int:
    program.terminate()
    try:
        return program.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        program.kill()
        return program.wait()


def _sweep(group: int) -> None:
    """End the processes that the program has left in its group."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        until = time.monotonic() + REST_SECONDS
        while time.monotonic() < until:
            time.sleep(0.1)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
