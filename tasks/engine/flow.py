"""`@flow` marks the function that is a DAG: it only calls steps and other flows.

    @flow
    def write_shards(experiment: WriteShardsExperiment) -> Shards:
        '''corpus + tokenizer -> token shards'''

Called inside another flow it is that plain function, so a larger flow contains the smaller ones.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar, overload

from tasks.engine.experiment import Experiment
from tasks.engine.step import current
from tasks.engine.workspace import Workspace

E = TypeVar("E", bound=Experiment)
R = TypeVar("R")
After = Callable[[Workspace, Any, Any], Sequence[str]]
"""From workspace, experiment and what the flow made, lines to say."""


@dataclass(frozen=True)
class Flow(Generic[E, R]):
    """A DAG with a name and a class of experiments."""

    function: Callable[[E], R]
    after: After | None = None
    """What follows a run that came to its end, whether or not it had anything to make; see `flow`."""
    gives_way: bool = False
    """It does not run beside another run of its experiment."""

    @property
    def name(self) -> str:
        return self.function.__name__

    @cached_property
    def experiment(self) -> type[E]:
        parameter = next(iter(inspect.signature(self.function).parameters))
        kind: type[E] = typing.get_type_hints(self.function)[parameter]
        return kind

    def __call__(self, experiment: E) -> R:
        """What it makes; in one run the larger flows ask again and again, and are given the first answer."""
        answers = current().session.flow_answers
        asked = (self.name, id(experiment))
        if asked not in answers:
            outer = _innermost.set((self, experiment))
            try:
                answers[asked] = self.function(experiment)
            finally:
                _innermost.reset(outer)
        answer: R = answers[asked]
        return answer


@overload
def flow(function: Callable[[E], R], /) -> Flow[E, R]: ...
@overload
def flow(
    *, after: After | None = None, gives_way: bool = False
) -> Callable[[Callable[[E], R]], Flow[E, R]]: ...
def flow(
    function: Callable[[E], R] | None = None, /, *, after: After | None = None, gives_way: bool = False
) -> Any:
    """Make a flow of a function `(experiment) -> what it makes`.

    Args:
        after: done at the end of each run of this very flow (not of a larger one that contains it), reused
            or not: what a cached step cannot do. It returns lines to say.
        gives_way: skip it while another run of its experiment is under way, instead of disturbing that.
    """
    if function is None:
        return lambda decorated: Flow(decorated, after, gives_way)
    return Flow(function)


AnyFlow = Flow[Any, Any]
_innermost: ContextVar[tuple[AnyFlow, Experiment] | None] = ContextVar("innermost", default=None)


def innermost_call() -> tuple[AnyFlow, Experiment] | None:
    """The smallest flow of those that are being called here: what one would run to make just this."""
    return _innermost.get()
