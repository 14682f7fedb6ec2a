"""The `lm` command."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path


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
    from click.exceptions import Abort, ClickException

    from flows.cli.commands import app

    try:
        code = app(standalone_mode=False)
    except ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, Abort):
        code = _complain("stopped; run the same command again to go on", 130)
    except ValueError as error:
        code = _complain(str(error), 2)
    except Exception as error:
        code = _complain(f"{error} ({type(error).__name__}; details in {_keep(error)})", 1)
    sys.stdout.flush()
    sys.exit(code if isinstance(code, int) else 0)


def _terminate(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _complain(text: str, code: int) -> int:
    print(f"lm: {text}", file=sys.stderr)
    return code


def _keep(error: Exception) -> Path:
    """Write the stack trace where whoever mends it can read it."""
    from tasks.engine.workspace import find_workspace

    try:
        folder = find_workspace().private / "errors"
    except ValueError:
        folder = Path.cwd()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    file.write_text("".join(traceback.format_exception(error)))
    return file
