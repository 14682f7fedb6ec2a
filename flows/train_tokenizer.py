"""corpus -> vocabulary -> compression report"""

from __future__ import annotations

from flows.prepare_corpus import PrepareCorpusExperiment, prepare_corpus
from lmcore.tokenizers.settings import TokenizerConfig
from tasks import tokenizer as tasks
from tasks.artifacts import Tokenizer
from tasks.engine.flow import flow


class TrainTokenizerExperiment(PrepareCorpusExperiment):
    """A corpus, and how to cut it into tokens."""

    tokenizer: TokenizerConfig = TokenizerConfig()


@flow
def train_tokenizer(experiment: TrainTokenizerExperiment) -> Tokenizer:
    """corpus -> vocabulary -> compression report"""
    corpus = prepare_corpus(experiment)
    name = experiment.data_name(TrainTokenizerExperiment)
    return tasks.train_tokenizer(corpus, experiment.tokenizer, name=name)
