"""Which exercises are made from a corpus, and what becomes of the user's own conversations."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from lmcore.config import Config
from lmcore.conversations.exercises import exercises
from lmcore.registry import Part, Registry


class ExercisePart(Part):
    """How documents become questions with their answers."""

    registry: ClassVar[Registry[Any]] = exercises


class ConversationsConfig(Config):
    """What conversations are made of; which document stands on which side was decided by the corpus."""

    exercises: tuple[ExercisePart, ...] = ()
    """Made from the corpus: name_source, quote_sentence, recite, or an exercise of the workspace. None: all
    conversations are your own."""
    seed: int = Field(0, ge=0)
    """Another seed takes other passages from the same documents."""
    validation_share: float = Field(0.05, ge=0, lt=1)
    """Share of own conversations that choose among models."""
    test_share: float = Field(0.05, ge=0, lt=1)
    """Share of own conversations that only the last examination reads."""
    system: str | None = Field(None, min_length=1)
    """A system message in front of each conversation that has none."""

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.validation_share + self.test_share >= 1:
            raise ValueError(
                f"validation_share {self.validation_share} and test_share {self.test_share} leave nothing to "
                "learn from; their sum has to be below 1"
            )
        for name, times in Counter(part.type for part in self.exercises).items():
            if times > 1:
                raise ValueError(f"exercise '{name}' stands {times} times; name it once, with its settings")
        return self
