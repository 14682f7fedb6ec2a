"""sources -> what the champion has not seen of them -> an event that starts a release"""

from __future__ import annotations

import json
from collections.abc import Sequence

from flows.prepare_corpus import prepare_corpus
from flows.release import ReleaseExperiment
from flows.write_conversations import write_conversations
from tasks.artifacts import Changes
from tasks.changes import ENTRY, compare_data
from tasks.engine.flow import flow
from tasks.engine.workspace import Workspace
from tasks.retraining import ask_for_retraining


def _ask(workspace: Workspace, experiment: ReleaseExperiment, changes: Changes) -> Sequence[str]:
    entry = json.loads((workspace.path(changes.address) / ENTRY).read_text(encoding="utf-8"))
    return ask_for_retraining(workspace, experiment.name, entry)


# Its corpus takes the place of the one before, which a training under way may be about to read.
@flow(after=_ask, gives_way=True)
def watch(experiment: ReleaseExperiment) -> Changes:
    """sources -> what the champion has not seen of them -> an event that starts a release"""
    corpus, model = prepare_corpus(experiment), experiment.registration.model or experiment.name
    limits = experiment.watch.model_copy(update={"schedule": None})  # when, never what
    conversations, assistant = [], None
    if experiment.own_conversations and experiment.finetune:
        conversations = [write_conversations(experiment)]
        assistant = experiment.assistant_registration.model or f"{experiment.name}-assistant"
    return compare_data(corpus, conversations, model, assistant, limits, name=experiment.name)
