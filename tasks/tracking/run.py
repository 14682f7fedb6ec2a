"""What all runs have in common: parameters, metrics, inputs, artifacts, and an honest end."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from tasks.engine.locks import lock
from tasks.tracking.datasets import Dataset, dataset_inputs, short
from tasks.tracking.names import flatten, legal_name
from tasks.tracking.store import artifacts_of, open_store

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

Status = Literal["FINISHED", "FAILED", "KILLED"]
METRICS_PER_BATCH = 1_000  # MLflow's limits for one request
TEXTS_PER_BATCH = 100
KIND = {
    "mlflow.experimentKind": "custom_model_development"
}  # the page opens on runs and models, not on traces


class Run:
    """What parent and child runs have in common; safe to use from any thread."""

    run_id: str
    experiment_id: str

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self._ended = threading.Event()

    @property
    def client(self) -> MlflowClient:
        return open_store(self.workspace)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Settings, nested ones by dotted names."""
        from mlflow.entities import Param

        rows = [Param(name, value) for name, value in flatten(params).items()]
        for start in range(0, len(rows), TEXTS_PER_BATCH):
            self.client.log_batch(self.run_id, params=rows[start : start + TEXTS_PER_BATCH])

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        from mlflow.entities import RunTag

        rows = [RunTag(legal_name(name), str(value)) for name, value in tags.items()]
        for start in range(0, len(rows), TEXTS_PER_BATCH):
            self.client.log_batch(self.run_id, tags=rows[start : start + TEXTS_PER_BATCH])

    def log_metrics(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        model_id: str | None = None,
        dataset: Dataset | None = None,
    ) -> None:
        """Log `{name, value, step}` rows (`step` may be missing: 0) in as few writes as MLflow allows.

        With a model and a data set the values show on the model's page too, per data set. A row's `timestamp`
        is in milliseconds since 1970; now, if it has none.
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(
                legal_name(row["name"]),
                float(row["value"]),
                int(row.get("timestamp", now)),
                int(row.get("step", 0)),
                model_id=model_id,
                dataset_name=dataset.name if dataset else None,
                dataset_digest=short(dataset.digest) if dataset else None,
                run_id=self.run_id,
            )
            for row in rows
        ]
        for start in range(0, len(metrics), METRICS_PER_BATCH):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + METRICS_PER_BATCH])

    def log_inputs(self, inputs: Sequence[Dataset]) -> None:
        """Data sets that this run read, by name and digest; their bytes are not touched."""
        if inputs:
            # MLflow looks whether it knows a data set, and then inserts it: of two branches that read the
            # same one for the first time both would insert, and the second fail.
            with lock(self.workspace / ".lm" / "datasets.lock"):
                self.client.log_inputs(self.run_id, dataset_inputs(inputs))

    def log_file(self, file: Path, folder: str | None = None) -> None:
        """Copy a file to the run's artifacts."""
        self.client.log_artifact(self.run_id, str(file), folder)

    def log_figure(self, figure: Figure | Path, name: str) -> None:
        """A picture (a matplotlib figure, or an image file) as the artifact `name`, such as `loss.png`."""
        target = self.artifacts / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(figure, Path):
            target.write_bytes(figure.read_bytes())
        else:
            figure.savefig(target)

    def log_document(self, document: Any, name: str) -> None:
        """Something made of JSON types as the artifact `name`, such as `settings.json`."""
        self.client.log_text(self.run_id, json.dumps(document, indent=2, sort_keys=True) + "\n", name)

    @property
    def artifacts(self) -> Path:
        """The folder of the run's artifacts."""
        return _experiment_folder(self.workspace, self.experiment_id) / self.run_id / "artifacts"

    def finish(self, status: Status = "FINISHED") -> None:
        """End the run; a second call changes nothing."""
        if not self._ended.is_set():
            self.client.set_terminated(self.run_id, status)
            self._ended.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
            return
        with suppress(Exception):  # what ended the run counts, not that the books could not be closed
            if not self._ended.is_set():
                self.set_tags({"lm.error": f"{type(error).__name__}: {error}"})
            self.finish(_status_after(kind))


_experiments_lock = threading.Lock()


def experiment_id(workspace: Path, name: str) -> str:
    """The id of a workspace's experiment, made (or brought back from the bin) where needed."""
    from mlflow.exceptions import MlflowException

    client = open_store(workspace)
    with _experiments_lock:
        found = client.get_experiment_by_name(name)
        if found is None:
            folder = artifacts_of(workspace) / re.sub(r"[^\w\-.]", "_", name)
            try:
                return str(client.create_experiment(name, str(folder), tags=KIND))
            except MlflowException:  # another process was quicker
                found = client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)


def _experiment_folder(workspace: Path, experiment: str) -> Path:
    return Path(open_store(workspace).get_experiment(experiment).artifact_location)


def _status_after(kind: type[BaseException] | None) -> Status:
    if kind is None:
        return "FINISHED"
    # Ctrl-C and SystemExit are not the code's fault.
    return "FAILED" if issubclass(kind, Exception) else "KILLED"
