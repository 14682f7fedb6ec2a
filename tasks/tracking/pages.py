"""Pages among a run's artifacts, where MLflow shows them and a link from elsewhere opens them."""

from __future__ import annotations

from pathlib import Path

from tasks.tracking.names import model_name
from tasks.tracking.store import open_store, quiet


def show_page(
    workspace: Path, run_id: str | None, folder: str, name: str, text: str, suffix: str = ".html"
) -> str | None:
    """Put a page (HTML, or Markdown as `.md`) among a run's artifacts, in place of an earlier one.

    A page among a model's own artifacts has no address in MLflow: its link would end at the list of files.

    Returns:
        a link as MLflow's pages spell it, `#/experiments/...`, which is good at whatever address they are
        served; None where the run is not known, as with models that were made elsewhere.
    """
    from mlflow.exceptions import MlflowException

    if run_id is None:
        return None
    client, file = open_store(workspace), f"{folder}/{model_name(name)}{suffix}"
    try:
        with quiet():
            run = client.get_run(run_id)
            client.log_text(run_id, text, file)
    except MlflowException:
        return None
    return f"#/experiments/{run.info.experiment_id}/runs/{run_id}/artifacts/{file}"
