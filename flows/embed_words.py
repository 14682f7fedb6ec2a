"""corpus -> vectors of its words and documents"""

from __future__ import annotations

from flows.prepare_corpus import PrepareCorpusExperiment, prepare_corpus
from lmcore.corpus.analysis.settings import SkipGramConfig
from tasks import embed as tasks
from tasks.artifacts import Embeddings
from tasks.engine.flow import flow


class EmbedWordsExperiment(PrepareCorpusExperiment):
    """A corpus, and how vectors of its words are learned; an analysis, which no model is made from."""

    embeddings: SkipGramConfig = SkipGramConfig()


@flow
def embed_words(experiment: EmbedWordsExperiment) -> Embeddings:
    """corpus -> vectors of its words and documents"""
    corpus = prepare_corpus(experiment)
    name = experiment.data_name(EmbedWordsExperiment)
    return tasks.embed_words(corpus, experiment.embeddings, name=name)
