"""Settings of the tasks that talk to services."""

from __future__ import annotations

from pydantic import Field, field_validator

from lmcore.config import Config
from tasks.engine.schedule import Schedule


class RegistrationConfig(Config):
    """Under which name a model stands in the registry."""

    model: str | None = Field(None, min_length=1)
    """The registered model's name; the experiment's name if left out."""
    alias: str = Field("challenger", pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    """What the new version is found by; it moves here from the version that has it. A model's first version
    is `champion` at once; `champion` here makes every new one that, past the gate."""
    example_prompt: str = "The"
    """Shown with the model, and run once when it is stored."""
    is_chat: bool = False
    """Whether prompts are questions, to be answered in the chat format."""
    licence: str | None = Field(None, min_length=1, max_length=200)
    """Under which licence the weights are passed on, such as `apache-2.0`; null: nobody has said."""

    @field_validator("model")
    @classmethod
    def _is_legal(cls, model: str | None) -> str | None:
        if model and {"/", ":"} & set(model):
            raise ValueError(f"'{model}' has a / or a : in it, which MLflow takes in no name; choose another")
        return model

    @field_validator("alias")
    @classmethod
    def _is_no_version(cls, alias: str) -> str:
        if alias == "latest" or (alias[:1] in "vV" and alias[1:].isdecimal()):
            raise ValueError(f"'{alias}' is how MLflow names a version; choose another, such as challenger")
        return alias


class AssistantConfig(RegistrationConfig):
    """The same of a model that answers questions."""

    is_chat: bool = True
    """Whether prompts are questions, to be answered in the chat format."""
    example_prompt: str = "Who are you?"
    """Shown with the model, and answered once when it is stored."""


class WatchConfig(Config):
    """When data has changed enough to train again."""

    documents: int = Field(10, ge=1)
    """Retrain when so many documents, or own conversations, are new, changed or gone since a champion ..."""
    share: float = Field(0.05, gt=0, le=1)
    """... or such a share of those that it saw."""
    schedule: Schedule | None = None
    """How often `lm up` looks, such as {cron: "*/10 * * * *"}; null: only `lm watch` does."""
