"""What MLflow is told of a run: a parent run for the flow, a child run for each step that was executed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

from lmcore.config import canonical
from lmcore.lineage import Manifest
from tasks.engine.artifact import Artifact
from tasks.engine.key import flat_inputs, inputs_of
from tasks.engine.session import Session
from tasks.engine.step import Step
from tasks.tracking.datasets import Dataset
from tasks.tracking.figures import loss_curve, scores_chart, sweep_chart
from tasks.tracking.runs import FlowRun, StepRun
from tasks.tracking.versions import find_model

MODELS = "models"
COSTS = ("seconds", "cpu_seconds", "peak_memory")
FIGURES = (
    ("metrics.jsonl", "loss_curve.png", loss_curve),
    ("scores.json", "scores.png", scores_chart),
    ("sweep.json", "sweep.png", sweep_chart),
)
"""Files of products that are worth a picture beside the run."""
PAGES = ("log/corpus.html",)
"""Pages beside products that are shown among a run's artifacts."""


class Books:
    """Keeps MLflow's runs nested as the flow; a run that ends badly says so."""

    def __init__(self, session: Session, settings: Mapping[str, Any]) -> None:
        self.run = FlowRun(
            session.workspace.root,
            flow=session.flow,
            experiment=session.flow,
            lm_run_id=f"{session.experiment} {session.run_id}",
            params=settings,
            tags={"lm.experiment": session.experiment, "lm.prefect_run": session.prefect_run_id or ""},
        )

    def __enter__(self) -> Self:
        self.run.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.run.__exit__(*error)

    @contextmanager
    def step(
        self, step: Step[Any, Any], label: str, key: str, arguments: Mapping[str, Any]
    ) -> Iterator[StepBook]:
        left_out = {"name", *inputs_of(arguments)}
        settings = canonical({name: value for name, value in arguments.items() if name not in left_out})
        data = [
            Dataset(artifact.name, artifact.digest or "", artifact.address, parameter)
            for parameter, artifact in flat_inputs(arguments)
            if artifact.is_data()
        ]
        models = [artifact for _, artifact in flat_inputs(arguments) if artifact.home == MODELS]
        with self.run.step(label, key, settings, data) as run:
            book = StepBook(run, data, [self._model(run, model) for model in models])
            if step.makes.home == MODELS:
                book.makes = run.start_model(arguments["name"], settings)
            try:
                yield book
            except BaseException:
                if book.makes:
                    run.finish_model(book.makes, key=key, digest="", path="", failed=True)
                raise

    def _model(self, run: StepRun, model: Artifact) -> str | None:
        model_id = find_model(self.run.workspace, model.key or "")
        if model_id:
            run.use_model(model_id)
        return model_id

    def made(self, book: StepBook, artifact: Artifact, manifest: Manifest) -> None:
        run, folder = book.run, self.run.workspace / artifact.address
        costs = {f"cost/{name}": manifest.provenance.get(name) for name in COSTS}
        figures = {name: value for name, value in {**manifest.facts, **costs}.items() if _is_number(value)}
        rows = [{"name": name, "value": value} for name, value in figures.items()]
        scored = next(iter(book.reads), None)
        run.log_metrics(rows, model_id=book.makes or scored, dataset=next(iter(book.data), None))
        run.set_tags({"lm.digest": manifest.digest, "lm.address": artifact.address})
        run.log_document(manifest.model_dump(), "manifest.json")
        if book.makes:
            run.finish_model(book.makes, key=manifest.key, digest=manifest.digest, path=artifact.address)
        for file, name, draw in FIGURES:
            if (folder / file).is_file():
                with suppress(ValueError):  # it holds nothing that could be drawn
                    run.log_figure(draw(folder / file), name)
                run.log_file(folder / file)
        for page in PAGES:
            if (folder / page).is_file():
                run.log_file(folder / page)

    def reused(self, label: str, manifest: Manifest) -> None:
        self.run.link_reused(label, manifest.key, manifest.provenance.get("mlflow_run_id"))


@dataclass
class StepBook:
    """One executed step: its run, what it reads, and the model that it makes."""

    run: StepRun
    data: list[Dataset]
    reads: list[str | None]
    makes: str | None = None

    @property
    def run_id(self) -> str:
        return self.run.run_id

    def log_metrics(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.run.log_metrics(rows, model_id=self.makes, dataset=next(iter(self.data), None))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
