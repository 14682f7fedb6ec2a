"""base -> leaning branches -> merged; joint control -> all compared on the validation side"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from flows.evaluate import EvaluateExperiment
from flows.pretrain import pretrain
from flows.write_shards import write_shards
from lmcore.batching.settings import MixtureConfig, Weights
from lmcore.config import PLAIN_NAME, Config
from lmcore.evaluate.settings import ComparisonConfig
from lmcore.merge.settings import MergeConfig
from lmcore.train.settings import TrainConfig
from tasks.artifacts import Checkpoint, Report
from tasks.compare import compare_models
from tasks.engine.flow import flow
from tasks.engine.workspace import Workspace
from tasks.merge import merge_models
from tasks.pretrain import continue_training

BASE, JOINT = "base", "joint_control"
Name = Annotated[str, Field(pattern=PLAIN_NAME)]


class BranchConfig(TrainConfig):
    """How a branch goes on from the base: fewer steps, and a lower peak, than from scratch."""

    steps: int = Field(100, ge=1)
    """Optimizer steps; each sees batch_size windows of the model's context_tokens."""
    warmup_steps: int = Field(10, ge=0)
    """Steps over which the learning rate grows from zero to the peak."""
    peak_learning_rate: float = Field(3e-3, gt=0)
    """Reached when warm-up ends; then it decays along a cosine."""


class BranchesConfig(Config):
    """Models that go on from the base, each leaning to other sources, as departments that pool no text."""

    leanings: dict[Name, Weights] = Field(default_factory=dict)
    """Name -> source -> share of what the branch learns from; none: nothing is branched or merged."""
    train: BranchConfig = BranchConfig()
    """How each branch goes on from the base."""

    @model_validator(mode="after")
    def _are_several(self) -> Self:
        if len(self.leanings) == 1:
            raise ValueError("one leaning alone gives nothing to merge; name two or more, or none")
        if taken := {BASE, JOINT} & self.leanings.keys():
            raise ValueError(f"a leaning cannot be called '{min(taken)}'; choose another name")
        return self

    def leaning(self, weights: Weights) -> BranchConfig:
        """How the branch that leans so is trained."""
        return self.train.model_copy(update={"mixture": MixtureConfig(weights=weights)})

    @property
    def joint(self) -> BranchConfig:
        """The control: one model on the mean of all leanings, for as many tokens as they have together."""
        number = len(self.leanings)
        sources = dict.fromkeys(source for weights in self.leanings.values() for source in weights)
        shares = [
            {source: weight / sum(weights.values()) for source, weight in weights.items()}
            for weights in self.leanings.values()
        ]
        mean = {source: sum(each.get(source, 0.0) for each in shares) / number for source in sources}
        mixture = MixtureConfig(weights=mean)
        return self.train.model_copy(update={"steps": number * self.train.steps, "mixture": mixture})


class MergeExperiment(EvaluateExperiment):
    """A base, branches of it, and the ways in which they are merged."""

    branches: BranchesConfig = BranchesConfig()
    merges: dict[Name, MergeConfig] = Field(
        {
            name: MergeConfig(method=name)
            for name in ("linear", "slerp", "task_arithmetic", "ties", "dare_ties")
        }
    )
    """Name -> how the branches are merged."""
    comparison: ComparisonConfig = ComparisonConfig()

    @model_validator(mode="after")
    def _names_are_clear(self) -> Self:
        leanings = self.branches.leanings
        for leaning, weights in leanings.items():
            self.require_sources(f"branches.leanings.{leaning}", weights)
        if taken := {BASE, JOINT, *leanings} & self.merges.keys():
            raise ValueError(
                f"'merges': a merge cannot be called '{min(taken)}', another model is; choose another name"
            )
        return self


def branched_models(experiment: MergeExperiment) -> dict[str, Checkpoint]:
    """Each leaning branch of the base."""
    base, shards, branches = pretrain(experiment), write_shards(experiment), experiment.branches
    return {
        leaning: continue_training.submit(
            base, shards, experiment.seeded(branches.leaning(weights)),
            name=f"{experiment.name}-{leaning}",
        )
        for leaning, weights in branches.leanings.items()
    }  # fmt: skip


def merged_models(experiment: MergeExperiment) -> dict[str, Checkpoint]:
    """Each merge of all branches."""
    base, parents = pretrain(experiment), list(branched_models(experiment).values())
    return {
        way: merge_models.submit(base, parents, settings, name=f"{experiment.name}-{way}")
        for way, settings in experiment.merges.items()
        if parents
    }


def joint_model(experiment: MergeExperiment) -> dict[str, Checkpoint]:
    """The control that sees the text of all branches; empty where nothing is branched."""
    if not experiment.branches.leanings:
        return {}
    base, shards = pretrain(experiment), write_shards(experiment)
    train = experiment.seeded(experiment.branches.joint)
    return {JOINT: continue_training.submit(base, shards, train, name=f"{experiment.name}-{JOINT}")}


def language_models(experiment: MergeExperiment) -> dict[str, Checkpoint]:
    """The base, its branches, their merges and the joint control, by name."""
    return {
        BASE: pretrain(experiment),
        **branched_models(experiment),
        **merged_models(experiment),
        **joint_model(experiment),
    }


def _say_if_nothing_was(_: Workspace, experiment: MergeExperiment, __: Report) -> Sequence[str]:
    if experiment.branches.leanings:
        return ()
    return ("nothing was merged: the experiment names no branches; set branches.leanings",)


@flow(after=_say_if_nothing_was)
def merge(experiment: MergeExperiment) -> Report:
    """base -> leaning branches -> merged; joint control -> all compared on the validation side"""
    experiment.split.require("validation_share", "the validation side chooses among the models")
    models = language_models(experiment)
    return compare_models(
        list(models.values()), write_shards(experiment), tuple(models), "validation",
        experiment.comparison, name=experiment.name,
    )  # fmt: skip
