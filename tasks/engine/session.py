"""One run of a flow: its workspace, its options, and whoever listens and keeps track."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeVar

from lmcore.config import SettingsError
from lmcore.lineage import Manifest
from tasks.engine.accepted import read_accepted
from tasks.engine.artifact import Artifact
from tasks.engine.code import CodeReader
from tasks.engine.key import CODE_ROOT
from tasks.engine.step import Step, call_identity
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace

A = TypeVar("A")
variant: ContextVar[str] = ContextVar("variant", default="")
"""Which variant of a sweep the calls belong to; each comes to its own end."""


@dataclass(frozen=True)
class Outcome:
    """What became of a call."""

    action: str
    """`reused`, `restored`, `built` or `rebuilt`."""
    manifest: Manifest
    why: str = ""
    seconds: float = 0.0


class Listener(Protocol):
    """Who is told what happens: the terminal, Prefect's logs, a test."""

    def started(self, label: str) -> None: ...
    def progressed(self, label: str, figures: Mapping[str, Any]) -> None: ...
    def said(self, label: str, text: str) -> None: ...
    def finished(self, label: str, outcome: Outcome) -> None: ...


class Silent:
    """A listener that tells nobody."""

    def started(self, label: str) -> None: ...
    def progressed(self, label: str, figures: Mapping[str, Any]) -> None: ...
    def said(self, label: str, text: str) -> None: ...
    def finished(self, label: str, outcome: Outcome) -> None: ...


class StepRun(Protocol):
    """Where one executed step's metrics go."""

    run_id: str

    def log_metrics(self, rows: Sequence[Mapping[str, Any]]) -> None: ...


class Tracker(Protocol):
    """Who keeps the books: MLflow, or nobody."""

    def step(
        self, step: Step[Any, Any], label: str, key: str, arguments: Mapping[str, Any]
    ) -> AbstractContextManager[Any]:
        """The books of one executed step: a `StepRun`, or None."""
        ...

    def made(self, run: Any, artifact: Artifact, manifest: Manifest, /) -> None: ...

    def reused(self, label: str, manifest: Manifest, /) -> None: ...


class NoTracker:
    """Keeps no books."""

    def step(self, *_: Any) -> AbstractContextManager[None]:
        return nullcontext()

    def made(self, *_: Any) -> None: ...
    def reused(self, *_: Any) -> None: ...


@dataclass
class Session:
    """Everything that the steps of one run share."""

    workspace: Workspace
    flow: str = ""
    experiment: str = ""
    forced: frozenset[str] = frozenset()
    """Labels `step name` whose products are made again even if they are whole."""
    until: str | None = None
    """The step after which the run ends."""
    verify: bool = False
    """Hash every byte instead of trusting an unchanged stat."""
    refresh: bool = False
    """Make again what was made by other versions of the libraries that make bits."""
    keep_copies: bool = True
    may_build: bool = True
    """Off where nothing has to be made: should something turn up after all, `WorkTurnedUp` says so."""
    listener: Listener = field(default_factory=Silent)
    tracker: Tracker = field(default_factory=NoTracker)
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    prefect_run_id: str | None = None
    lines: Sequence[Any] = ()
    """The plan that this run follows, a `Line` for each call."""
    began: float = field(default_factory=time.monotonic)
    outcomes: dict[str, Outcome] = field(default_factory=dict, init=False)
    """What became of each call so far, by its label."""
    flow_answers: dict[tuple[str, int], Any] = field(default_factory=dict, init=False)
    """What each flow gave, by its name and the identity of its experiment."""
    useless_copies: set[tuple[str, str]] = field(default_factory=set, init=False)
    """Key, and where: what turned out to be damaged is neither fetched nor told of again."""
    _answers: dict[str, Future[Any]] = field(default_factory=dict, init=False)
    _reached: set[str] = field(default_factory=set, init=False)
    """Variants that have come to the step which the run ends with."""
    _labels: set[str] = field(default_factory=set, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def once(self, step: Step[Any, Any], arguments: Mapping[str, Any], make: Callable[[], A]) -> A:
        """What this run made of the same call before, else what `make` makes of it now.

        Variants of a sweep ask from several threads: the first one makes it, the others wait.

        Raises:
            ReachedUntil: the step that the run was to end with is behind us.
            SettingsError: another call has this step and name already.
        """
        identity = call_identity(step, arguments)
        with self._lock:
            answer: Future[A] | None = self._answers.get(identity)
            is_first = answer is None
            self._begin(step, label_of(step, arguments), is_first)
            if answer is None:
                answer = self._answers[identity] = Future()
        if is_first:
            try:
                answer.set_result(make())
            except BaseException as error:
                answer.set_exception(error)
        return answer.result()

    def answers(self) -> list[Any]:
        """What the calls of this run have given so far."""
        return [answer.result() for answer in self._answers.values() if answer.done()]

    def _begin(self, step: Step[Any, Any], label: str, is_first: bool) -> None:
        here = variant.get()
        if is_first and label in self._labels:
            raise SettingsError(f"'{label}' would be made twice, in two ways; give one of them another name")
        if step.name == self.until:
            self._reached.add(here)
        elif is_first and here in self._reached:
            raise ReachedUntil
        self._labels.add(label)

    @cached_property
    def store(self) -> Store:
        return Store(self.workspace)

    @cached_property
    def code(self) -> CodeReader:
        accepted = read_accepted(self.workspace.root)
        return CodeReader(CODE_ROOT, self.workspace.private / "code-facts.json", accepted)


def label_of(step: Step[Any, Any], arguments: Mapping[str, Any]) -> str:
    """How a call is named on screens and in options: `train_tokenizer demo`."""
    return f"{step.name} {arguments['name']}"


class ReachedUntil(Exception):
    """Ends a flow after the step that `--until` names; no error."""


class WorkTurnedUp(Exception):
    """A plan said that nothing has to be made, and something has: a copy was damaged, say."""
