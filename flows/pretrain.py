"""shards + tokenizer -> transformer"""

from __future__ import annotations

from typing import TypeVar

from pydantic import Field

from flows.train_tokenizer import train_tokenizer
from flows.write_shards import WriteShardsExperiment, write_shards
from lmcore.config import Config
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
