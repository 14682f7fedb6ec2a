"""model + shards -> perplexity, bits per byte, samples"""

from __future__ import annotations

from flows.pretrain import PretrainExperiment, pretrain
from flows.write_shards import write_shards
from lmcore.evaluate.settings import EvaluateConfig
from tasks.artifacts import Report
from tasks.engine.flow import flow
from tasks.evaluate import evaluate_model


class EvaluateExperiment(PretrainExperiment):
    """A model, and how it is measured."""

    evaluate: EvaluateConfig = EvaluateConfig()


@flow
def evaluate(experiment: EvaluateExperiment) -> Report:
    """model + shards -> perplexity, bits per byte, samples"""
    experiment.split.require("test_share", "the test side is what a model is scored on")
    model = pretrain(experiment)
    shards = write_shards(experiment)
    return evaluate_model(model, shards, experiment.evaluate, name=experiment.name)
