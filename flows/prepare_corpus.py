"""source -> raw -> documents -> filtered, deduplicated -> corpus (train | validation | test) -> report"""

from __future__ import annotations

from typing import NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from lmcore.conversations.settings import ConversationsConfig
from lmcore.corpus.settings import (
    DEFAULT_FILTERS,
    CleanerPart,
    DecontaminateConfig,
    DeduplicateConfig,
    FilterPart,
    Measurement,
    NormalizeConfig,
    RepeatsConfig,
    SourceChoice,
    SplitConfig,
)
from lmcore.registry import Part
from tasks.artifacts import Corpus, Decided
from tasks.clean import clean_documents
from tasks.conversations import find_conversations, hold_out_conversations
from tasks.decontaminate import decontaminate_documents
from tasks.deduplicate import deduplicate_documents
from tasks.describe import describe_corpus
from tasks.engine.experiment import Experiment
from tasks.engine.flow import flow
from tasks.filter import filter_documents
from tasks.ingest import ingest
from tasks.repeats import find_repeats
from tasks.split import split_corpus


class HeldOut(NamedTuple):
    """Conversations of one's own that models are examined on, and what decides which of them these are."""

    sources: tuple[SourceChoice, ...]
    settings: ConversationsConfig


class PrepareCorpusExperiment(Experiment):
    """Which texts, and what happens to them before they are learned from."""

    sources: tuple[SourceChoice, ...] = Field(min_length=1)
    """Folders under `data/sources/`, each by its name, or by name and some of its files."""
    normalize: NormalizeConfig = NormalizeConfig()
    cleaners: tuple[CleanerPart, ...] = ()
    """What mends texts, in this order: mojibake, c4_lines, personal_data, or a cleaner of the workspace."""
    filters: tuple[FilterPart, ...] = DEFAULT_FILTERS
    """What documents have to pass: length, gopher_repetition, gopher_quality, c4_quality, fineweb_quality,
    language, or a filter of the workspace."""
    deduplicate: DeduplicateConfig = DeduplicateConfig()
    repeats: RepeatsConfig | None = None
    """Cut out passages that stand elsewhere word for word, such as `{min_words: 50}`; null leaves them."""
    decontaminate: DecontaminateConfig | None = None
    """Leave out documents that hold what models are tested with: `{}` for the own conversations that they are
    examined on, `{against: [my_questions]}` for other evaluation sets as well."""
    split: SplitConfig = SplitConfig()
    alarm_share: float = Field(default=0.5, gt=0, le=1)
    """A source that loses more than this share of its documents is told of at the top of the report."""

    @field_validator("cleaners", "filters")
    @classmethod
    def _each_once(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        names = [part.type for part in parts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"'{twice[0]}' stands there twice; give it all its settings in one place")
        return parts

    @model_validator(mode="after")
    def _is_checked_against_something(self) -> Self:
        chosen = self.decontaminate
        if chosen and not chosen.against and not (chosen.own_conversations and self.held_out):
            raise ValueError(
                "'decontaminate' names no evaluation set, and no own_conversations are held out; name one, "
                "such as decontaminate: {against: [my_questions]}"
            )
        return self

    @property
    def held_out(self) -> HeldOut | None:
        """Own conversations that models are examined on; None where the experiment has none."""
        return None

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """What the filters measure; their limits are no part of it."""
        return tuple(part.measurement for part in self.filters)


@flow
def prepare_corpus(experiment: PrepareCorpusExperiment) -> Corpus:
    """source -> raw -> documents -> filtered, deduplicated -> corpus (train | validation | test) -> report"""
    name = experiment.data_name(PrepareCorpusExperiment)
    raw = [ingest(source) for source in experiment.sources]
    documents = clean_documents(
        raw, experiment.normalize, experiment.cleaners, experiment.measurements, name=name
    )
    filtered = filter_documents(documents, experiment.filters, name=name)
    distinct = deduplicate_documents(documents, filtered, experiment.deduplicate, name=name)
    decided: list[Decided] = [filtered, distinct]
    if experiment.repeats:
        decided = [*decided, find_repeats(documents, decided, experiment.repeats, name=name)]
    if contamination := experiment.decontaminate:
        evaluation = [ingest(source) for source in contamination.against]
        if contamination.own_conversations and (held_out := experiment.held_out):
            own, roots = find_conversations(held_out.sources)
            evaluation.append(hold_out_conversations(own, roots, held_out.settings, name=name))
        decided = [
            *decided, decontaminate_documents(documents, decided, evaluation, contamination, name=name)
        ]  # fmt: skip
    corpus = split_corpus(documents, decided, raw, experiment.split, name=name)
    describe_corpus.submit(corpus, documents, decided, experiment.filters, experiment.alarm_share, name=name)
    return corpus
