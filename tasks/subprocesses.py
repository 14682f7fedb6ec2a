"""Long work in a process group of its own, which can be stopped, and never outlives whoever started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from lmcore.config import SettingsError
from lmcore.runtime import die_with_parent

PATIENCE_SECONDS = 60
"""How long a process may take to save its work after SIGTERM."""
STOPPED = 128 + signal.SIGTERM
"""Exit code of a training that was told to stop, from outside or after so many steps."""
EXECUTED = "log/executed.json"


stopping = threading.Event()
"""Set when a run is told to end: a signal reaches its first thread only, work may go on in others."""


class Stopped(BaseException):
    """The run is told to end; like an interruption, and unlike an error."""


class SubprocessFailed(RuntimeError):
    """The process ended in a way that is not the user's mistake."""


class Follower:
    """Reads JSON lines as the process appends them."""

    files: ClassVar[tuple[str, ...]] = ()

    def rows(self, file: str, rows: list[dict[str, Any]]) -> None:
        raise NotImplementedError


def run_and_follow(
    module: str,
    request: Mapping[str, Any],
    folder: Path,
    follower: Follower,
    stop_after: int | None = None,
) -> None:
    """Run `python -m module request.json` and hand on the lines that it appends to files in `folder`.

    On an interruption the process is told to save its work (SIGTERM) and waited for. If this process
    is killed, the kernel kills that one. A training is told to `stop_after` so many steps where not all of
    them are wanted; what of the code they ran is then noted in a file, see `executed.py`.

    Raises:
        SettingsError: the process refused its request (exit code 2); the text is its own line.
        SubprocessFailed: it died.
        Stopped: the run is told to end.
    """
    if stopping.is_set():
        raise Stopped
    (folder / "log").mkdir(parents=True, exist_ok=True)
    request_file = folder / "log" / "request.json"
    errors = folder / "log" / "errors.txt"
    command = [sys.executable, "-m", module, str(request_file)]
    if stop_after:
        request = {**request, "stop_after": stop_after}
        command[2:3] = ["tasks.executed", str(folder / EXECUTED), module]
    request_file.write_text(json.dumps(request))
    tails = {name: _Tail(folder / name) for name in follower.files}
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            cwd=folder,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        try:
            while process.poll() is None:
                if stopping.is_set():
                    raise Stopped
                time.sleep(0.2)
                _hand_on(tails, follower)
        finally:
            stop(process)
    _hand_on(tails, follower)
    if not (stop_after and process.returncode == STOPPED):
        _check(process.returncode, module, errors)
    request_file.unlink()
    errors.unlink()


def stop(process: subprocess.Popen[bytes], patience: float = PATIENCE_SECONDS) -> None:
    """Ask for an end, and insist on it after a while."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _check(code: int, module: str, errors: Path) -> None:
    if code == 0:
        return
    lines = errors.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    if code == 2:
        raise SettingsError(lines[-1].removeprefix("error: "))
    if code == -signal.SIGKILL:
        raise SubprocessFailed(
            f"{module} was killed, most likely for lack of memory; lower the batch size, run again to go on"
        )
    raise SubprocessFailed(f"{module} ended with code {code}: {lines[-1]} (all of it: {errors})")


def _hand_on(tails: Mapping[str, _Tail], follower: Follower) -> None:
    for name, tail in tails.items():
        if rows := tail.read():
            follower.rows(name, rows)


class _Tail:
    """Whole JSON lines that were appended to a file since the last look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0

    def read(self) -> list[dict[str, Any]]:
        try:
            with self.path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                # A run that goes on from a checkpoint cuts its files back to it first.
                self.offset = min(self.offset, size)
                file.seek(self.offset)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self.offset += len(whole)
        return [row for line in whole.splitlines() if (row := _parse(line))]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return row
