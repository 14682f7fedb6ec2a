"""Messages with roles: the one form in which conversations travel."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from lmcore.config import Config


class Message(Config):
    """What one side says."""

    role: Literal["system", "user", "assistant"]
    content: str


class Conversation(Config):
    """Messages in turn: perhaps a system message, then user and assistant, one after the other."""

    messages: tuple[Message, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _turns_alternate(self) -> Self:
        turns = self.messages[1:] if self.messages[0].role == "system" else self.messages
        for number, message in enumerate(turns):
            expected = "assistant" if number % 2 else "user"
            if message.role != expected:
                position = number + len(self.messages) - len(turns) + 1
                raise ValueError(
                    f"message {position} is from '{message.role}', expected '{expected}': after at most one "
                    "system message, user and assistant take turns"
                )
        return self
