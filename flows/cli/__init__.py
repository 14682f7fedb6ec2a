"""The `lm` command."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
STOPPED = "stopped; run the same command again to go on"


def main() -> None:
    """Run a command; a user's mistake is one line on stderr and exit code 2, never a stack trace."""
    # Before torch is imported anywhere: beside another busy process, spinning threads starve the work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # A polite kill unwinds like Ctrl-C: training saves its state, and the books are closed.
    signal.signal(signal.SIGTERM, _terminate)
    from typer.exceptions import TyperException

    from flows.cli.commands import app, check_command

    arguments = sys.argv[1:] or ["--help"]
    try:
        check_command(arguments)
        code = app(arguments, standalone_mode=False)
        if code == INTERRUPTED:
            _complain(STOPPED, code)
    except TyperException as error:
        code = _complain(_usage(error), 2)
    except KeyboardInterrupt:
        code = _complain(STOPPED, INTERRUPTED)
    except SystemExit as error:  # from the handler of SIGTERM, or a reader (`| head`) that went away
        code = _complain(STOPPED, error.code) if error.code == TERMINATED else error.code
    except ValueError as error:
        code = _complain(_one_line(error), 2)
    except Exception as error:
        code = _complain(f"{error} ({type(error).__name__}; {_keep(error)})", 1)
    sys.stdout.flush()
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: Exception) -> str:
    """What is wrong with a command line, and how the command is used."""
    context = getattr(error, "ctx", None)
    text = " ".join(str(getattr(error, "message", None) or error).split())
    option = getattr(error, "param", None)
    if option is not None and getattr(option, "name", None) and option.name not in text:
        text = f"{option.name.replace('_', '-')}: {text}"
    return f"{text}; {' '.join(context.get_usage().split())}" if context else text


def _one_line(error: ValueError) -> str:
    """A mistake in one line; pydantic's own errors have several, of which the first complaint counts."""
    if hasattr(error, "errors"):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))} is {first['input']!r}: {first['msg'].lower()}"
    return str(error)


def _terminate(*_: object) -> None:
    raise SystemExit(TERMINATED)


def _complain(text: str, code: Any) -> Any:
    print(f"lm: {text}", file=sys.stderr)
    return code


def _keep(error: Exception) -> str:
    """Write the stack trace where whoever mends it can read it."""
    from tasks.engine.workspace import find_workspace

    try:
        folder = find_workspace().private / "errors"
    except ValueError:
        folder = Path.cwd()
    file = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(traceback.format_exception(error)))
    except OSError as why:
        return f"details could not be written: {why.strerror}"
    return f"details in {file}"
