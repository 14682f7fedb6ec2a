"""source -> raw -> documents -> deduplicated -> corpus (train | validation | test) -> statistics"""

from __future__ import annotations

from pydantic import Field

from lmcore.corpus.settings import (
    DeduplicateConfig,
    FilterPart,
    NormalizeConfig,
    SourceChoice,
    SplitConfig,
)
from tasks.artifacts import Corpus
from tasks.clean import clean_documents
from tasks.deduplicate import deduplicate_documents
from tasks.describe import describe_corpus
from tasks.engine.experiment import Experiment
from tasks.engine.flow import flow
from tasks.ingest import ingest
from tasks.split import split_corpus


class PrepareCorpusExperiment(Experiment):
    """Which texts, and what happens to them before they are learned from."""

    sources: tuple[SourceChoice, ...] = Field(min_length=1)
    """Folders under `data/sources/`, each by its name, or by name and some of its files."""
    normalize: NormalizeConfig = NormalizeConfig()
    filters: tuple[FilterPart, ...] = (FilterPart(type="length"), FilterPart(type="repetition"))
    deduplicate: DeduplicateConfig = DeduplicateConfig()
    split: SplitConfig = SplitConfig()


@flow
def prepare_corpus(experiment: PrepareCorpusExperiment) -> Corpus:
    """source -> raw -> documents -> deduplicated -> corpus (train | validation | test) -> statistics"""
    name = experiment.data_name(PrepareCorpusExperiment)
    raw = [ingest(source) for source in experiment.sources]
    documents = clean_documents(raw, experiment.normalize, experiment.filters, name=name)
    distinct = deduplicate_documents(documents, experiment.deduplicate, name=name)
    corpus = split_corpus(distinct, documents, raw, experiment.split, name=name)
    describe_corpus.submit(corpus, name=name)
    return corpus
