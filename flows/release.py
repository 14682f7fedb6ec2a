"""built -> challenger beside champion, on text that neither has seen -> judged -> champion, or not"""

from __future__ import annotations

from flows.build_assistant import (
    BuildAssistantExperiment,
    build_assistant,
    register_assistant,
    register_language_model,
)
from flows.prepare_corpus import prepare_corpus
from flows.write_conversations import write_conversations
from lmcore.evaluate.settings import GateConfig
from tasks.artifacts import Release
from tasks.engine.flow import flow
from tasks.judge import judge_challenger
from tasks.promote import promote_challenger
from tasks.settings import WatchConfig


class ReleaseExperiment(BuildAssistantExperiment):
    """The whole way, what a new version has to show before it serves, and when one is wanted."""

    gate: GateConfig = GateConfig()
    watch: WatchConfig = WatchConfig()


def release_language_model(experiment: ReleaseExperiment) -> Release:
    """The language model against the one that serves."""
    challenger = register_language_model(experiment)
    verdict = judge_challenger(
        challenger, prepare_corpus(experiment), [], experiment.exam, experiment.gate, name=experiment.name
    )
    return promote_challenger(challenger, verdict, name=experiment.name)


def release_assistant(experiment: ReleaseExperiment) -> Release:
    """The model that answers against the one that serves."""
    challenger, name = register_assistant(experiment), f"{experiment.name}-assistant"
    conversations = [write_conversations(experiment)]
    verdict = judge_challenger(
        challenger, prepare_corpus(experiment), conversations, experiment.exam, experiment.gate, name=name
    )
    return promote_challenger(challenger, verdict, name=name)


@flow
def release(experiment: ReleaseExperiment) -> Release:
    """built -> challenger beside champion, on text that neither has seen -> judged -> champion, or not"""
    build_assistant(experiment)
    released = release_language_model(experiment)
    return release_assistant(experiment) if experiment.finetune else released
