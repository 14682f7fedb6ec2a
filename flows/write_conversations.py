"""corpus + own conversations -> conversations (train | validation | test)"""

from __future__ import annotations

from flows.prepare_corpus import PrepareCorpusExperiment, prepare_corpus
from lmcore.config import SettingsError
from lmcore.conversations.settings import ConversationsConfig
from lmcore.corpus.settings import SourceChoice
from tasks import conversations as tasks
from tasks.artifacts import Conversations
from tasks.engine.flow import flow


class WriteConversationsExperiment(PrepareCorpusExperiment):
    """A corpus, and what a model learns to answer about it."""

    conversations: ConversationsConfig = ConversationsConfig()
    own_conversations: tuple[SourceChoice, ...] = ()
    """Sources of your own conversations in JSONL: `{name: support, path: ~/support, licence: my own}`."""


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
