"""Runs: one parent per flow run, one child per step that did something, each with an end that is true.

MLflow's fluent functions keep the active run in global state; steps run in parallel threads, so everything
here goes through a client and names its run. A run carries the identity of its process, by which
`close_orphans` finds what a `kill -9` left RUNNING.
"""

from __future__ import annotations

import getpass
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tasks.tracking.datasets import Dataset
from tasks.tracking.names import flatten, legal_name, model_name
from tasks.tracking.processes import identity
from tasks.tracking.run import Run, Status, experiment_id
from tasks.versioning import git_state

if TYPE_CHECKING:
    from mlflow import MlflowClient


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
            **_source(self.flow),
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
        self._announced: dict[str, dict[str, tuple[dict[str, Any], Dataset | None]]] = {}
        self._announced_lock = threading.Lock()

    def begin(self, params: Mapping[str, Any], inputs: Sequence[Dataset], tags: Mapping[str, Any]) -> None:
        all_tags = {
            "mlflow.parentRunId": self.parent.run_id,
            **_source(self.parent.flow),
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
        self._announced[str(model.model_id)] = {}
        return str(model.model_id)

    def log_metrics(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        model_id: str | None = None,
        dataset: Dataset | None = None,
    ) -> None:
        """As for every run; but a model that is still in training is told the last value of each metric only.

        Its page would else list every point of the curve, which the run draws.
        """
        announced = self._announced.get(model_id or "")
        if announced is None:
            super().log_metrics(rows, model_id=model_id, dataset=dataset)
            return
        now = int(time.time() * 1000)
        dated = [{"timestamp": now, **row} for row in rows]
        super().log_metrics(dated)
        with self._announced_lock:
            announced.update({row["name"]: (row, dataset) for row in dated})

    def finish_model(
        self, model_id: str, *, key: str, digest: str, path: str, last_step: int = 0, failed: bool = False
    ) -> None:
        """Settle a model that `start_model` announced: which product it became, or that it failed.

        `path` is the product's address in the workspace, `last_step` the optimizer step of its weights.
        """
        from mlflow.entities import LoggedModelOutput

        last_values = self._announced.pop(model_id, {}).values()
        if failed:
            self.client.finalize_logged_model(model_id, "FAILED")
            return
        self.client.set_logged_model_tags(model_id, {"lm.key": key, "lm.digest": digest, "lm.path": path})
        for dataset in dict.fromkeys(dataset for _, dataset in last_values):
            rows = [row for row, of in last_values if of == dataset]
            super().log_metrics(rows, model_id=model_id, dataset=dataset)
        self.client.finalize_logged_model(model_id, "READY")
        self.client.log_outputs(self.run_id, [LoggedModelOutput(model_id, last_step)])

    def use_model(self, model_id: str) -> None:
        """Say that this step read a model, for instance to evaluate it."""
        from mlflow.entities import LoggedModelInput

        self.client.log_inputs(self.run_id, models=[LoggedModelInput(model_id)])


def _source(flow: str) -> dict[str, str]:
    """MLflow's own tags for who started what."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return {"mlflow.source.name": f"lm {flow}", "mlflow.source.type": "LOCAL", "mlflow.user": user}


def _experiment_of(client: MlflowClient, run_id: str) -> str | None:
    from mlflow.exceptions import MlflowException

    try:
        return str(client.get_run(run_id).info.experiment_id)
    except MlflowException:
        return None


def _link(experiment: str | None, run_id: str) -> str:
    return f"[{run_id[:8]}](#/experiments/{experiment}/runs/{run_id})" if experiment else run_id[:8]
