"""corpus + own conversations -> conversations (train | validation | test)"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.prepare_corpus import HeldOut, PrepareCorpusExperiment, prepare_corpus
from lmcore.config import SettingsError
from lmcore.conversations.settings import ConversationsConfig
from lmcore.corpus.settings import SourceChoice
from tasks import conversations as tasks
from tasks.artifacts import Conversations
from tasks.engine.experiment import Experiment
from tasks.engine.flow import flow


class WriteConversationsExperiment(PrepareCorpusExperiment):
    """A corpus, and what a model learns to answer about it."""

    conversations: ConversationsConfig = ConversationsConfig()
    own_conversations: tuple[SourceChoice, ...] = ()
    """Sources of your own conversations in JSONL: `{name: support, path: ~/support, licence: my own}`."""

    @property
    def held_out(self) -> HeldOut | None:
        settings = self.conversations.model_copy(update={"exercises": (), "seed": 0})
        is_shared_out = settings.validation_share + settings.test_share > 0
        return HeldOut(self.own_conversations, settings) if self.own_conversations and is_shared_out else None

    @classmethod
    def shaping(cls, kind: type[Experiment], settings: Mapping[str, Any]) -> set[str]:
        """Where documents go that hold held-out conversations, these shape the corpus, too."""
        own = {"conversations", "own_conversations"} if settings.get("decontaminate") is not None else set()
        return super().shaping(kind, settings) | own


@flow
def write_conversations(experiment: WriteConversationsExperiment) -> Conversations:
    """corpus + own conversations -> conversations (train | validation | test)"""
    if not (experiment.conversations.exercises or experiment.own_conversations):
        raise SettingsError(
            f"{experiment.name} names no conversations; add your own, such as own_conversations: "
            "[{name: support, path: ~/support, licence: my own}], or exercises made from the corpus, such as "
            "conversations: {exercises: [recite]}"
        )
    corpus = prepare_corpus(experiment)
    own, roots = tasks.find_conversations(experiment.own_conversations)
    name = experiment.data_name(WriteConversationsExperiment)
    return tasks.write_conversations(corpus, own, roots, experiment.conversations, name=name)
