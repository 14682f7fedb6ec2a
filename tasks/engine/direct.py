"""The executor that does everything here and now: for tests, and when nothing has to be made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tasks.engine.artifact import Artifact
from tasks.engine.session import Session
from tasks.engine.step import Done, Step, unwrap
from tasks.engine.work import perform

T = TypeVar("T")


@dataclass
class Direct:
    """Runs each call in this process, one after the other."""

    session: Session

    def submit(self, step: Step[Any, Any], arguments: dict[str, Any]) -> Done[Artifact]:
        return Done(self.call(step, arguments))

    def call(self, step: Step[Any, Any], arguments: dict[str, Any]) -> Artifact:
        arguments = {name: unwrap(value) for name, value in arguments.items()}
        return self.session.once(step, arguments, lambda: perform(self.session, step, arguments))

    def side_by_side(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        return [call() for call in calls]
