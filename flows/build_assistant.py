"""source -> base -> branches -> merged, base -> full | LoRA -> chosen -> tested -> registered"""

from __future__ import annotations

from flows.embed_words import EmbedWordsExperiment
from flows.evaluate import evaluate
from flows.finetune import FinetuneExperiment, chat_models, finetune
from flows.merge import JOINT, MergeExperiment, language_models, merge
from flows.write_conversations import write_conversations
from flows.write_shards import write_shards
from tasks.artifacts import Registration
from tasks.choose import choose_model
from tasks.compare import compare_models
from tasks.engine.flow import flow
from tasks.examine import examine_models
from tasks.register import register_model
from tasks.settings import AssistantConfig, RegistrationConfig


class BuildAssistantExperiment(FinetuneExperiment, MergeExperiment, EmbedWordsExperiment):
    """The whole way with the analyses beside it, and the names that the models get."""

    registration: RegistrationConfig = RegistrationConfig()
    """Of the language model; its name is the experiment's."""
    assistant: AssistantConfig = AssistantConfig()
    """Of the model that answers; its name is the language model's with `-assistant` behind it."""

    @property
    def assistant_registration(self) -> AssistantConfig:
        """With the name that follows from the language model's, where that has one of its own."""
        if self.assistant.model or not self.registration.model:
            return self.assistant
        return self.assistant.model_copy(update={"model": f"{self.registration.model}-assistant"})


def register_language_model(experiment: BuildAssistantExperiment) -> Registration:
    """The best of base, branches and merges by validation, tested beside all others and the joint control."""
    models, shards = language_models(experiment), write_shards(experiment)
    candidates = {called: model for called, model in models.items() if called != JOINT}
    choice = choose_model(
        list(candidates.values()), merge(experiment), tuple(candidates), name=experiment.name
    )
    test = compare_models(
        list(models.values()), shards, tuple(models), "test",
        experiment.comparison, name=f"{experiment.name}-test",
    )  # fmt: skip
    return register_model(
        list(candidates.values()), choice, test, shards, [], experiment.registration, name=experiment.name
    )


def register_assistant(experiment: BuildAssistantExperiment) -> Registration:
    """The best way of finetuning by validation, tested beside the others and the base."""
    models, name = chat_models(experiment), f"{experiment.name}-assistant"
    shards, conversations = write_shards(experiment), write_conversations(experiment)
    candidates = {way: models[way] for way in experiment.finetune}
    choice = choose_model(list(candidates.values()), finetune(experiment), tuple(candidates), name=name)
    test = examine_models(
        list(models.values()), conversations, tuple(models), "test",
        experiment.exam, name=f"{experiment.name}-test",
    )  # fmt: skip
    return register_model(
        list(candidates.values()),
        choice,
        test,
        shards,
        [conversations],
        experiment.assistant_registration,
        name=name,
    )


@flow
def build_assistant(experiment: BuildAssistantExperiment) -> Registration:
    """source -> base -> branches -> merged, base -> full | LoRA -> chosen -> tested -> registered"""
    experiment.split.require("test_share", "the test side is what models are scored on at the end")
    evaluate(experiment)
    registered = register_language_model(experiment)
    return register_assistant(experiment) if experiment.finetune else registered
