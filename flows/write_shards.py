"""corpus + tokenizer -> token shards"""

from __future__ import annotations

from flows.prepare_corpus import prepare_corpus
from flows.train_tokenizer import TrainTokenizerExperiment, train_tokenizer
from lmcore.batching.settings import ShardsConfig
from tasks import shard as tasks
from tasks.artifacts import Shards
from tasks.engine.flow import flow


class WriteShardsExperiment(TrainTokenizerExperiment):
    """A corpus, a tokenizer, and how their token stream is stored."""

    shards: ShardsConfig = ShardsConfig()


@flow
def write_shards(experiment: WriteShardsExperiment) -> Shards:
    """corpus + tokenizer -> token shards"""
    corpus = prepare_corpus(experiment)
    tokenizer = train_tokenizer(experiment)
    name = experiment.data_name(WriteShardsExperiment)
    return tasks.write_shards(corpus, tokenizer, experiment.shards, name=name)
