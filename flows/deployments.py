"""Which flow can be started from Prefect's pages, with which dials, and which experiments run by the clock.

Each flow is a deployment whose form lists the experiments that it can run and its main dials, those of the
flows that it contains included. A `schedule` in an experiment's file is one of the flow in whose folder the
file lies. `lm up` offers what is here; a run's own process loads its flow from here by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flows.cli.catalog import find_flow, flow_names, kind_of
from flows.cli.running import open_run
from lmcore.config import SettingsError
from tasks.engine.experiment import Experiment, OtherFlow, known_experiments
from tasks.engine.flow import AnyFlow
from tasks.engine.forms import Form, Request
from tasks.engine.schedule import Schedule
from tasks.engine.workspace import Workspace, find_workspace
from tasks.retraining import DATA_CHANGED

DIALS: dict[str, tuple[str, ...]] = {
    "pretrain": (
        "train.steps", "train.batch_size", "train.peak_learning_rate", "train.optimizer", "model.width",
        "model.num_layers", "model.num_heads", "model.context_tokens", "seed",
    ),
    "finetune": ("exam.items_per_exercise",),
    "train_tokenizer": ("tokenizer.vocab_size",),
    "prepare_corpus": ("split.validation_share", "split.test_share"),
    "evaluate": ("evaluate.num_resamples", "evaluate.sample_tokens"),
    "build_assistant": ("registration.model", "registration.alias"),
}  # fmt: skip
"""The settings of each flow that are turned most often, in the order in which a form shows them."""

WATCH = "watch"
STARTED_BY = {"release": DATA_CHANGED}
"""The event that starts a flow, for the experiment that it names."""


def dials_of(flow: str) -> tuple[str, ...]:
    """Its own dials, and those of the flows that it extends."""
    kinds = kind_of(flow).kinds()
    return tuple(dial for name, dials in DIALS.items() if kind_of(name) in kinds for dial in dials)


def runnable(workspace: Workspace, flow: str) -> tuple[list[str], dict[str, str]]:
    """The experiments that a flow can run, and what is wrong with those that cannot be read."""
    found, problems = [], {}
    for name in sorted(known_experiments(workspace)):
        try:
            open_run(flow, name, [])
            found.append(name)
        except OtherFlow:
            continue
        except SettingsError as error:
            problems[name] = str(error)
    return found, problems


def schedules(workspace: Workspace, flow: str) -> dict[str, Schedule]:
    """When experiments run by themselves: those in a flow's own folder; `watch` looks after those of all."""
    files = "*/*.yaml" if flow == WATCH else f"{flow}/*.yaml"
    found = {}
    for file in sorted(workspace.experiments.glob(files)):
        try:
            experiment: Any = open_run(flow, file.stem, [])[2]
        except SettingsError:  # told by `runnable`
            continue
        if clock := experiment.watch.schedule if flow == WATCH else experiment.schedule:
            found[file.stem] = clock
    return found


def form_of(flow: str, experiments: Sequence[str]) -> Form:
    """What a flow asks for before it runs."""
    return Form(kind_of(flow), dials_of(flow), tuple(experiments))


def _open(flow: str) -> Any:
    def open_request(request: Request) -> tuple[Workspace, AnyFlow, Experiment]:
        return open_run(flow, request.experiment, request.overrides)

    return open_request


def __getattr__(name: str) -> Any:
    """The Prefect flow of a name, made when the process of a run asks for it."""
    if name not in flow_names():
        raise AttributeError(f"no flow named '{name}'")
    from tasks.engine.served_run import entry

    return entry(find_flow(name), form_of(name, list(known_experiments(find_workspace()))), _open(name))
