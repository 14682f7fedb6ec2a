"""shards + tokenizer -> transformer"""

from __future__ import annotations

from flows.train_tokenizer import train_tokenizer
from flows.write_shards import WriteShardsExperiment, write_shards
from lmcore.models.settings import TransformerConfig
from lmcore.train.settings import TrainConfig
from tasks.artifacts import Checkpoint
from tasks.engine.flow import flow
from tasks.pretrain import pretrain_model


class PretrainExperiment(WriteShardsExperiment):
    """Token shards, a model, and how it learns from them."""

    model: TransformerConfig = TransformerConfig()
    train: TrainConfig = TrainConfig()


@flow
def pretrain(experiment: PretrainExperiment) -> Checkpoint:
    """shards + tokenizer -> transformer"""
    experiment.split.require("validation_share", "the validation side chooses the checkpoint")
    shards = write_shards(experiment)
    tokenizer = train_tokenizer(experiment)
    return pretrain_model(shards, tokenizer, experiment.model, experiment.train, name=experiment.name)
