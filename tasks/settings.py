"""Settings of the tasks that talk to services."""

from __future__ import annotations

from pydantic import Field

from lmcore.config import Config


class RegistrationConfig(Config):
    """Under which name a model stands in the registry."""

    model: str | None = Field(None, pattern=r"^[^/:]+$")
    """The registered model's name; the experiment's name if left out."""
    alias: str = Field("champion", pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    """What the new version is found by; it moves here from the version that has it."""
    example_prompt: str = "The"
    """Shown with the model, and run once when it is stored."""
    is_chat: bool = False
    """Whether prompts are questions, to be answered in the chat format."""


class AssistantConfig(RegistrationConfig):
    """The same of a model that answers questions."""

    is_chat: bool = True
    """Whether prompts are questions, to be answered in the chat format."""
    example_prompt: str = "Who are you?"
    """Shown with the model, and answered once when it is stored."""
