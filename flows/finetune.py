"""conversations + base -> full | LoRA -> examined on the validation side"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from flows.pretrain import PretrainExperiment, pretrain
from flows.write_conversations import WriteConversationsExperiment, write_conversations
from lmcore.config import PLAIN_NAME, SettingsError
from lmcore.evaluate.settings import ExamConfig
from lmcore.finetune.settings import FinetuneConfig
from tasks.artifacts import Checkpoint, Report
from tasks.engine.flow import flow
from tasks.examine import examine_models
from tasks.finetune import finetune_model

BASE = "base"
Way = Annotated[str, Field(pattern=PLAIN_NAME)]


class FinetuneExperiment(PretrainExperiment, WriteConversationsExperiment):
    """A base model, conversations, and the ways to learn from them that are tried."""

    finetune: dict[Way, FinetuneConfig] = Field(default_factory=dict)
    """Name -> how to finetune; each way becomes a model, examined beside the base. None: no assistant.
    null in the place of a way drops one that an extended experiment names."""
    exam: ExamConfig = ExamConfig()

    @model_validator(mode="after")
    def _base_is_the_base(self) -> Self:
        if BASE in self.finetune:
            raise ValueError(f"'finetune': no way can be called '{BASE}', the base is; choose another name")
        return self


def finetuned_models(experiment: FinetuneExperiment) -> dict[str, Checkpoint]:
    """Each way of finetuning, as a parallel branch."""
    base, conversations = pretrain(experiment), write_conversations(experiment)
    return {
        way: finetune_model.submit(
            base, conversations, experiment.seeded(settings), name=f"{experiment.name}-{way}"
        )
        for way, settings in experiment.finetune.items()
    }


def chat_models(experiment: FinetuneExperiment) -> dict[str, Checkpoint]:
    """The base and all that was finetuned from it, by name."""
    return {BASE: pretrain(experiment), **finetuned_models(experiment)}


@flow
def finetune(experiment: FinetuneExperiment) -> Report:
    """conversations + base -> full | LoRA -> examined on the validation side"""
    if not experiment.finetune:
        raise SettingsError(
            f"{experiment.name} names no way to finetune; such as finetune: {{lora: {{method: lora}}}}"
        )
    experiment.split.require("validation_share", "the validation side chooses among the models")
    models = chat_models(experiment)
    return examine_models(
        list(models.values()), write_conversations(experiment), tuple(models), "validation",
        experiment.exam, name=experiment.name,
    )  # fmt: skip
