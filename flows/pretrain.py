"""shards + tokenizer -> transformer"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self, TypeVar

from pydantic import Field, model_validator

from flows.train_tokenizer import train_tokenizer
from flows.write_shards import WriteShardsExperiment, write_shards
from lmcore.config import Config, did_you_mean
from lmcore.models.settings import TransformerConfig
from lmcore.train.settings import TrainConfig
from tasks.artifacts import Checkpoint
from tasks.engine.flow import flow
from tasks.pretrain import pretrain_model

C = TypeVar("C", bound=Config)


class PretrainExperiment(WriteShardsExperiment):
    """Token shards, a model, and how it learns from them."""

    model: TransformerConfig = TransformerConfig()
    train: TrainConfig = TrainConfig()
    seed: int | None = Field(None, ge=0)
    """Sets the seeds of all that is trained in one place; null leaves each part its own."""

    @model_validator(mode="after")
    def _learns_from_its_own_sources(self) -> Self:
        mixture = self.train.mixture
        self.require_sources("train.mixture.weights", (mixture and mixture.weights) or ())
        return self

    def require_sources(self, setting: str, named: Iterable[str]) -> None:
        """Refuse a setting that names a source which the experiment does not read.

        Raises:
            ValueError: there is one; a validator may pass it on.
        """
        known = [source.name for source in self.sources]
        for name in named:
            if name not in known:
                raise ValueError(f"'{setting}': no source named '{name}'.{did_you_mean(name, known)}")

    def seeded(self, settings: C) -> C:
        """The settings of a part that is trained, with the experiment's seed if it has one."""
        return settings if self.seed is None else settings.model_copy(update={"seed": self.seed})


@flow
def pretrain(experiment: PretrainExperiment) -> Checkpoint:
    """shards + tokenizer -> transformer"""
    experiment.split.require("validation_share", "the validation side chooses the checkpoint")
    shards = write_shards(experiment)
    tokenizer = train_tokenizer(experiment)
    train = experiment.seeded(experiment.train)
    return pretrain_model(shards, tokenizer, experiment.model, train, name=experiment.name)
