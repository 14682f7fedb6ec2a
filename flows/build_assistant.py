"""source -> corpus -> tokenizer -> shards -> transformer -> scores -> registered model"""

from __future__ import annotations

from flows.evaluate import EvaluateExperiment, evaluate
from flows.pretrain import pretrain
from tasks.artifacts import Registration
from tasks.engine.flow import flow
from tasks.register import register_model
from tasks.settings import RegistrationConfig


class BuildAssistantExperiment(EvaluateExperiment):
    """The whole way, and the name that the model gets."""

    registration: RegistrationConfig = RegistrationConfig()


@flow
def build_assistant(experiment: BuildAssistantExperiment) -> Registration:
    """source -> corpus -> tokenizer -> shards -> transformer -> scores -> registered model"""
    model = pretrain(experiment)
    report = evaluate(experiment)
    return register_model(model, report, experiment.registration, name=experiment.name)
