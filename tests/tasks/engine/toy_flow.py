"""A flow of toy steps over real files: what the engine's tests run, here or as a process of its own."""

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from lmcore.config import Config
from lmcore.lineage import content_digest
from tasks.engine.artifact import Artifact
from tasks.engine.experiment import Experiment
from tasks.engine.flow import flow
from tasks.engine.proof import digests_of
from tasks.engine.run import Options, Result, make_plan, run_flow
from tasks.engine.session import Outcome, Silent
from tasks.engine.step import Build, current, step
from tasks.engine.workspace import Workspace


class ToySource(Artifact):
    home: ClassVar[str] = "data/sources"


class ToyText(Artifact):
    home: ClassVar[str] = "data/toy_texts"


class ToyCorpus(Artifact):
    home: ClassVar[str] = "data/toy_corpora"


class ToyModel(Artifact):
    home: ClassVar[str] = "models"


class ToyReport(Artifact):
    home: ClassVar[str] = "reports"


class TextConfig(Config):
    is_upper: bool = False


class TrainConfig(Config):
    steps: int = 3


def pause() -> None:
    """Long enough to be killed in."""
    time.sleep(float(os.environ.get("TOY_PAUSE", "0")))


@step(makes=ToyText)
def write_text(build: Build, source: ToySource, settings: TextConfig, *, name: str) -> dict[str, int]:
    text = build.path(source).read_text()
    (build.folder / "text.txt").write_text(text.upper() if settings.is_upper else text)
    pause()
    (build.folder / "log").mkdir()
    (build.folder / "log" / "time.txt").write_text(str(time.time_ns()))
    return {"characters": len(text)}


@step(makes=ToyCorpus, carries="ledger.csv")
def split_text(build: Build, text: ToyText, *, name: str) -> dict[str, int]:
    """New words take sides in turn, old ones keep theirs."""
    known = [line.split(",") for line in build.carried.read_text().splitlines()] if build.carried else []
    sides = {word: side for word, side in known}
    words = sorted(set((build.path(text) / "text.txt").read_text().split()))
    for word in words:
        sides.setdefault(word, "train" if len(sides) % 2 == 0 else "test")
    pause()
    (build.folder / "ledger.csv").write_text("".join(f"{word},{side}\n" for word, side in sides.items()))
    (build.folder / "train.txt").write_text(" ".join(word for word in words if sides[word] == "train"))
    return {"words": len(words)}


@step(makes=ToyModel, resumable=True, ignores=("threads",))
def train_toy(
    build: Build, corpus: ToyCorpus, settings: TrainConfig, threads: int = 1, *, name: str
) -> dict[str, int]:
    """Appends a line a step; goes on from what is there."""
    text = (build.path(corpus) / "train.txt").read_text()
    metrics = build.folder / "metrics.txt"
    done = metrics.read_text().splitlines(keepends=True) if metrics.exists() else []
    whole = [line for line in done if line.endswith("\n")]
    metrics.write_text("".join(whole))
    (build.folder / "log").mkdir(exist_ok=True)
    with (build.folder / "log" / "starts.txt").open("a") as file:
        file.write(f"{len(whole)}\n")
    for number in range(len(whole), settings.steps):
        with metrics.open("a") as file:
            file.write(f"{number} {len(text)}\n")
        pause()
    return {"steps": settings.steps}


@step(makes=ToyReport)
def count_words(build: Build, models: list[ToyModel], *, name: str) -> dict[str, int]:
    lines = [(build.path(model) / "metrics.txt").read_text() for model in models]
    (build.folder / "count.json").write_text(json.dumps([line.count("\n") for line in lines]))
    return {"models": len(models)}


class ToyExperiment(Experiment):
    text: TextConfig = TextConfig()
    train: TrainConfig = TrainConfig()


@flow
def toy(experiment: ToyExperiment) -> ToyReport:
    """source -> text -> corpus -> model -> report"""
    text = write_text(find_toy_source(current().session.workspace), experiment.text, name=experiment.name)
    corpus = split_text(text, name=experiment.name)
    model = train_toy.submit(corpus, experiment.train, name=experiment.name)
    return count_words([model], name=experiment.name)


def find_toy_source(workspace: Workspace) -> ToySource:
    digests = digests_of(workspace, workspace.sources, ["toy.txt"])
    return ToySource("data/sources/toy.txt", "toy", content_digest(digests), None, 100)


class Heard(Silent):
    """Notes what became of each call."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.lines: list[str] = []

    def finished(self, label: str, outcome: Outcome) -> None:
        self.outcomes[label.partition(" ")[0]] = outcome

    def said(self, label: str, text: str) -> None:
        self.lines.append(text)

    @property
    def actions(self) -> dict[str, str]:
        return {name: outcome.action for name, outcome in self.outcomes.items()}


def experiment(name: str = "demo", **settings: Any) -> ToyExperiment:
    return ToyExperiment.model_validate({"name": name, **settings})


def run_toy(
    workspace: Workspace,
    settings: Mapping[str, Any] | None = None,
    options: Options = Options(),
    *,
    name: str = "demo",
    keep_copies: bool = False,
) -> tuple[Heard, Result]:
    """Run it in this process, without Prefect and MLflow."""
    heard, made = Heard(), experiment(name, **(settings or {}))
    session, lines = make_plan(workspace, toy, made, options)
    planned = replace(session, keep_copies=keep_copies), lines
    options = replace(options, use_prefect=False)
    return heard, run_flow(workspace, toy, made, options, heard, planned)


if __name__ == "__main__":
    heard, _ = run_toy(Workspace(Path(sys.argv[1])), json.loads(sys.argv[2]), name=sys.argv[3])
    print(json.dumps(heard.actions))
