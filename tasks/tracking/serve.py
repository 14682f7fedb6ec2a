"""`python -m tasks.tracking.serve PORT`: MLflow's pages over the workspace, on this machine only."""

from __future__ import annotations

import os
import sys

from tasks.engine.workspace import find_workspace
from tasks.tracking.processes import close_orphans
from tasks.tracking.store import artifacts_of, open_store, tracking_uri


def main(port: str) -> None:
    """Bring the store into order, and become MLflow's server."""
    root = find_workspace().root
    open_store(root)
    close_orphans(root)
    # One worker and no job runner: two processes instead of fifteen.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", tracking_uri(root),
        "--artifacts-destination", str(artifacts_of(root)),
        "--host", "127.0.0.1", "--port", port, "--workers", "1",
    ]  # fmt: skip
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main(sys.argv[1])
