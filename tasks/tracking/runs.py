"""Runs: one parent per flow run, one child per step that did something, each with an end that tells the truth.

MLflow's fluent functions keep the active run in global state; steps run in parallel threads, so everything here goes
through a client and names its run. A run carries the identity of its process, by which `close_orphans` finds what a
`kill -9` left RUNNING.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from tasks.tracking.datasets import Dataset, dataset_inputs, short
from tasks.tracking.names import flatten, legal_name, model_name
from tasks.tracking.processes import identity
from tasks.tracking.store import artifacts_of, open_store
from tasks.versioning import git_state

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

Status = Literal["FINISHED", "FAILED", "KILLED"]
METRICS_PER_BATCH = 1_000  # MLflow's limits for one request
TEXTS_PER_BATCH = 100


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
            self.client.log_inputs(self.run_id, dataset_inputs(inputs))

    def log_file(self, file: Path, folder: str | None = None) -> None:
        """Copy a file to the run's artifacts."""
        self.client.log_artifact(self.run_id, str(file), folder)

    def log_folder(self, source: Path, folder: str | None = None) -> None:
        """Copy a folder's content to the run's artifacts."""
        self.client.log_artifacts(self.run_id, str(source), folder)

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
            self._ended.set()
            self.client.set_terminated(self.run_id, status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not self._ended.is_set():
            self.set_tags({"lm.error": f"{type(error).__name__}: {error}"})
        self.finish(_status_after(kind))


class FlowRun(Run):
    """The parent run of one flow run.

    with FlowRun(workspace, flow="pretrain", experiment="tiny", lm_run_id=...).start() as flow_run:
        with flow_run.step("pretrain", key=..., params=..., inputs=[...]) as step_run: ...
    """

    def __init__(
        self,
        workspace: Path,
        flow: str,
        experiment: str,
        lm_run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        description: str | None = None,
    ) -> None:
        super().__init__(workspace)
        self.flow = flow
        self.experiment = experiment
        self.lm_run_id = lm_run_id
        self._params = params or {}
        self._tags = dict(tags or {})
        self._description = description
        self._lines: list[str] = []
        self._lines_lock = threading.Lock()

    def start(self) -> Self:
        """Open the store and begin the run.

        Raises:
            TrackingError: the store cannot be used.
        """
        self.experiment_id = experiment_id(self.workspace, self.experiment)
        git = git_state(self.workspace)
        tags = {
            "lm.flow": self.flow,
            "lm.run": self.lm_run_id,
            "mlflow.source.name": f"lm {self.flow} {self.experiment}",
            "mlflow.source.type": "LOCAL",
            **({"mlflow.source.git.commit": git["commit"], "lm.git_dirty": git["dirty"]} if git else {}),
            **identity(),
            **self._tags,
        }
        texts = {legal_name(name): str(value) for name, value in tags.items()}
        run = self.client.create_run(self.experiment_id, tags=texts, run_name=self.lm_run_id)
        self.run_id = run.info.run_id
        self.log_params(self._params)
        return self

    def step(
        self,
        name: str,
        key: str,
        params: Mapping[str, Any] | None = None,
        inputs: Sequence[Dataset] = (),
        tags: Mapping[str, Any] | None = None,
    ) -> StepRun:
        """Begin the child run of a step that is really done (a reused one is linked, not run)."""
        step_run = StepRun(self, name, key)
        step_run.begin(params or {}, inputs, tags or {})
        with self._lines_lock:
            self._lines.append(f"| {name} | run | {_link(self.experiment_id, step_run.run_id)} |")
        return step_run

    def link_reused(self, name: str, key: str, run_id: str | None) -> None:
        """Say on the parent that a step's product was taken as it stood, and link the run that made it."""
        self.set_tags({f"lm.reused.{name}": run_id or "unknown", f"lm.key.{name}": key})
        link = _link(_experiment_of(self.client, run_id), run_id) if run_id else "made without tracking"
        with self._lines_lock:
            self._lines.append(f"| {name} | reused | {link} |")

    def finish(self, status: Status = "FINISHED") -> None:
        """End the run with a table of its steps as its description; a second call changes nothing."""
        if self._ended.is_set():
            return
        with self._lines_lock:
            table = ["| step | what was done | run |", "|---|---|---|", *self._lines] if self._lines else []
        text = "\n".join([*([self._description, ""] if self._description else []), *table])
        if text:
            self.set_tags({"mlflow.note.content": text})
        super().finish(status)


class StepRun(Run):
    """The child run of one executed step."""

    def __init__(self, parent: FlowRun, name: str, key: str) -> None:
        super().__init__(parent.workspace)
        self.parent = parent
        self.name = name
        self.key = key
        self.experiment_id = parent.experiment_id

    def begin(self, params: Mapping[str, Any], inputs: Sequence[Dataset], tags: Mapping[str, Any]) -> None:
        all_tags = {
            "mlflow.parentRunId": self.parent.run_id,
            "mlflow.source.name": f"lm {self.parent.flow} {self.parent.experiment}",
            "mlflow.source.type": "LOCAL",
            "lm.flow": self.parent.flow,
            "lm.run": self.parent.lm_run_id,
            "lm.step": self.name,
            "lm.key": self.key,
            **identity(),
            **tags,
        }
        texts = {legal_name(name): str(value) for name, value in all_tags.items()}
        self.run_id = self.client.create_run(self.experiment_id, tags=texts, run_name=self.name).info.run_id
        self.log_params(params)
        self.log_inputs(inputs)

    def start_model(self, name: str, params: Mapping[str, Any] | None = None) -> str:
        """Announce the model that this step trains, so that metrics can be tied to it; returns its id.

        The weights stay where they are: only `register` copies them.
        """
        texts = {name_: str(value)[:500] for name_, value in flatten(params or {}).items()}
        model = self.client.create_logged_model(
            self.experiment_id,
            name=model_name(name),
            source_run_id=self.run_id,
            params=texts,
            tags={"lm.step": self.name, "lm.flow": self.parent.flow},
            model_type="language-model",
        )
        return str(model.model_id)

    def finish_model(
        self, model_id: str, *, key: str, digest: str, path: str, last_step: int = 0, failed: bool = False
    ) -> None:
        """Settle a model that `start_model` announced: which product it became, or that it failed.

        `path` is the product's address in the workspace, `last_step` the optimizer step of its weights.
        """
        from mlflow.entities import LoggedModelOutput

        if failed:
            self.client.finalize_logged_model(model_id, "FAILED")
            return
        self.client.set_logged_model_tags(model_id, {"lm.key": key, "lm.digest": digest, "lm.path": path})
        self.client.finalize_logged_model(model_id, "READY")
        self.client.log_outputs(self.run_id, [LoggedModelOutput(model_id, last_step)])

    def use_model(self, model_id: str) -> None:
        """Say that this step read a model, for instance to evaluate it."""
        from mlflow.entities import LoggedModelInput

        self.client.log_inputs(self.run_id, models=[LoggedModelInput(model_id)])


_experiments_lock = threading.Lock()


def experiment_id(workspace: Path, name: str) -> str:
    """The id of a workspace's experiment, made (or brought back from the bin) where needed."""
    from mlflow.exceptions import MlflowException

    client = open_store(workspace)
    with _experiments_lock:
        found = client.get_experiment_by_name(name)
        if found is None:
            folder = artifacts_of(workspace) / (
                legal_name(name).replace("/", "_").replace(" ", "_") or "experiment"
            )
            try:
                return str(client.create_experiment(name, artifact_location=str(folder)))
            except MlflowException:  # another process was quicker
                found = client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)


def _experiment_folder(workspace: Path, experiment: str) -> Path:
    return Path(open_store(workspace).get_experiment(experiment).artifact_location)


def _experiment_of(client: MlflowClient, run_id: str) -> str | None:
    from mlflow.exceptions import MlflowException

    try:
        return str(client.get_run(run_id).info.experiment_id)
    except MlflowException:
        return None


def _link(experiment: str | None, run_id: str) -> str:
    return f"[{run_id[:8]}](#/experiments/{experiment}/runs/{run_id})" if experiment else run_id[:8]


def _status_after(kind: type[BaseException] | None) -> Status:
    if kind is None:
        return "FINISHED"
    return (
        "FAILED" if issubclass(kind, Exception) else "KILLED"
    )  # Ctrl-C and SystemExit are not the code's fault
