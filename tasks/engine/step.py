"""`@step` turns a function that fills a folder into a cached, proved, resumable piece of a flow.

    @step(makes=Tokenizer)
    def train_tokenizer(build: Build, corpus: Corpus, settings: TokenizerConfig, *, name: str) -> Facts:
        return bpe.train_tokenizer(build.path(corpus), build.folder, settings)

    tokenizer = train_tokenizer(corpus, settings, name="demo")          # a Tokenizer: path + digest

Who calls decides what a call does: a plan computes its key, a run reuses or builds the product.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from lmcore.config import Config
from lmcore.lineage import Facts, canonical_json
from lmcore.runtime import usable_cores
from tasks.engine.artifact import Artifact, is_artifact_json

if TYPE_CHECKING:
    from collections.abc import Iterator

P = ParamSpec("P")
A = TypeVar("A", bound=Artifact)
T = TypeVar("T")


@dataclass(frozen=True)
class Done(Generic[A]):
    """A promise that was kept from the start."""

    artifact: A

    def result(self) -> A:
        return self.artifact


@dataclass
class Build:
    """What a step's function is given: an empty (when resumed, half-filled) folder, and ways to report."""

    folder: Path
    workspace_root: Path
    cores: int = 1
    """Cores that it may compute on; any number gives the same bytes."""
    pieces: Path | None = None
    """A folder in which pieces of the work may be kept for the next version of the product: for this
    step with these settings and this code, whatever the inputs. None: everything is to be made anew."""
    carried: Path | None = None
    """The file that the previous version of this product hands on, see `step(carries=...)`."""
    seen: Mapping[str, Any] = field(default_factory=dict)
    """What of the world outside the call stands in its key, see `step(sees=...)`."""
    stop_after: int | None = None
    """Only so many optimizer steps are wanted, and no product: a training is replayed."""
    on_progress: Callable[[Mapping[str, Any]], None] = lambda _: None
    on_metrics: Callable[[list[dict[str, Any]]], None] = lambda _: None

    def path(self, artifact: Artifact) -> Path:
        """Where an input lies."""
        return self.workspace_root / artifact.address

    def progress(self, done: int, total: int, **figures: Any) -> None:
        """Move the progress bar: `figures` stand behind it."""
        self.on_progress({"done": done, "total": total, **figures})

    def say(self, text: str) -> None:
        """A line that stays on the screen and in Prefect's log."""
        self.on_progress({"say": text})

    def metrics(self, rows: list[dict[str, Any]]) -> None:
        """Metrics for the tracker: each {"name", "value", "step"}."""
        self.on_metrics(rows)


@dataclass(frozen=True)
class Forecast:
    """What a step is expected to take."""

    seconds: float
    memory: float
    """Bytes at the peak."""
    disk: float
    """Bytes of the product."""


Forecaster = Callable[[Mapping[str, Any]], Forecast]
"""From a call's arguments, whose artifacts have at least a guessed size."""


@dataclass(frozen=True)
class Replayed:
    """What came of making a part of a product once more."""

    what: str
    """How much was made, such as `20 steps`."""
    difference: str | None = None
    """What first came out otherwise than in the product, in words; None if nothing did."""
    misses: Callable[[str], bool] | None = None
    """Whether a definition, as `module:name`, had no part in it; None if all had."""


@dataclass(frozen=True)
class Step(Generic[P, A]):
    """A function of a flow with a key; see `step`."""

    function: Callable[Concatenate[Build, P], Facts]
    makes: type[A]
    forecast: Forecaster
    carries: str | None = None
    is_resumable: bool = False
    ignores: tuple[str, ...] = ()
    cores: Callable[[Mapping[str, Any]], int] | None = None
    """How many cores a call can make use of, from its arguments; without it, none to wait for."""
    is_registered: Callable[[Path, Path, bool], bool] | None = None
    """For a step with an effect outside its folder: (workspace, product) -> whether the effect holds."""
    renew: Callable[[Path, Path, Mapping[str, Any]], None] | None = None
    """Brings that effect about again: (workspace, product, arguments). The product stays as it is."""
    replay: Callable[..., Replayed | None] | None = None
    """A quicker proof that changed code makes the same bytes than to make all of them, see `step`."""
    reads: Callable[[Mapping[str, Any]], Sequence[Path | str]] | None = None
    """The files and folders behind its inputs, where those are no products: what DVC is to watch."""
    sees: Callable[[Path, Mapping[str, Any]], Mapping[str, Any]] | None = None
    """What it depends on that is no argument, from (workspace, arguments): who is champion, say."""

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def entry(self) -> str:
        """Where the code fingerprint starts."""
        return f"{self.function.__module__}:{self.name}"

    @cached_property
    def signature(self) -> inspect.Signature:
        signature = inspect.signature(self.function)
        return signature.replace(parameters=list(signature.parameters.values())[1:])

    def bind(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Arguments by name, defaults filled in, settings resolved for this machine."""
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return {
            name: value.resolved() if isinstance(value, Config) else value
            for name, value in bound.arguments.items()
        }

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> A:
        artifact: A = current().call(self, self.bind(*args, **kwargs))
        return artifact

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> A:
        """Start it in a parallel branch: a promise of the artifact, which steps take like the artifact."""
        branch: A = current().submit(self, self.bind(*args, **kwargs))
        return branch


MUCH = 1.6e7
"""Bytes of text from which on it pays to work on several cores."""


def cores_for_bytes(size: float) -> int:
    """What a step that goes over texts says of the cores that it can make use of: all or none."""
    return usable_cores() if size > MUCH else 0


known_steps: dict[str, Step[Any, Any]] = {}
"""Every step whose module was imported, by name."""


def step(
    *,
    makes: type[A],
    forecast: Forecaster = lambda _: Forecast(seconds=1.0, memory=2e8, disk=1e5),
    carries: str | None = None,
    resumable: bool = False,
    ignores: tuple[str, ...] = (),
    cores: Callable[[Mapping[str, Any]], int] | None = None,
    is_registered: Callable[[Path, Path, bool], bool] | None = None,
    renew: Callable[[Path, Path, Mapping[str, Any]], None] | None = None,
    replay: Callable[..., Replayed | None] | None = None,
    reads: Callable[[Mapping[str, Any]], Sequence[Path | str]] | None = None,
    sees: Callable[[Path, Mapping[str, Any]], Mapping[str, Any]] | None = None,
) -> Callable[[Callable[Concatenate[Build, P], Facts]], Step[P, A]]:
    """Make a step of a function `(build, ..., *, name) -> facts` that fills `build.folder`.

    Artifacts among its arguments are inputs and stand in the key by digest; the rest are settings and stand
    there by value, but for `name` and those in `ignores`.

    Args:
        makes: the kind of product.
        forecast: what a first run is expected to take; later ones are scaled from the last.
        carries: a file of the product that the next version starts from (a ledger). The one used stands in
            the key, so the chain of versions is reproducible.
        resumable: keep a killed run's scratch folder for the next one.
        ignores: parameters that do not change the bytes: thread counts and the like.
        cores: how many cores a call can make use of. It waits until so many (or all that the machine has)
            are not computed on by another step that says so; 0 is soon done and waits for nobody.
        replay: `(make, build, folder of the product, **arguments) -> Replayed` for `--accept-code`: make the
            first part of a product again in `build.folder`, most likely with `make`, which is the step's own
            function of a build, and compare; None asks for the whole. Without it the whole is made again.
        reads: from a call's arguments, the files and folders that stand for its inputs in `dvc.yaml`; left
            out: the inputs' addresses.
        sees: from (workspace, arguments), what of the world outside the call its product depends on, in plain
            JSON types: it stands in the key, and the function finds it in `build.seen`.
    """

    def decorate(function: Callable[Concatenate[Build, P], Facts]) -> Step[P, A]:
        made = Step(
            function, makes, forecast, carries, resumable, ignores, cores, is_registered, renew, replay,
            reads, sees,
        )  # fmt: skip
        known_steps[made.name] = made
        return made

    return decorate


class Executor(Protocol):
    """Who decides what a call of a step does."""

    session: Any
    """The run that the steps belong to; a `Session`."""

    def call(self, step: Step[Any, Any], arguments: dict[str, Any]) -> Any: ...

    def submit(self, step: Step[Any, Any], arguments: dict[str, Any]) -> Any: ...

    def side_by_side(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """What several independent parts of a flow give, in their order."""
        ...


_executor: ContextVar[Executor | None] = ContextVar("executor", default=None)


def current() -> Executor:
    """The executor in charge.

    Raises:
        RuntimeError: a step was called outside a flow.
    """
    executor = _executor.get()
    if executor is None:
        raise RuntimeError("a step was called outside a run; use tasks.engine.run.run_flow or `lm`")
    return executor


@contextmanager
def executing(executor: Executor) -> Iterator[None]:
    """Put an executor in charge of the steps called inside."""
    token = _executor.set(executor)
    try:
        yield
    finally:
        _executor.reset(token)


def unwrap(value: Any) -> Any:
    """Futures and artifacts spelled as JSON become artifacts, also inside lists."""
    if isinstance(value, Artifact):
        return value
    if is_artifact_json(value):
        return Artifact.from_json(value)
    if isinstance(value, list | tuple):
        return [unwrap(item) for item in value]
    if hasattr(value, "result") and callable(value.result):
        return unwrap(value.result())
    return value


def call_identity(step: Step[Any, Any], arguments: Mapping[str, Any]) -> str:
    """Equal for two calls of one run that ask for the same: a larger flow calls its parts again."""
    return f"{step.name}({', '.join(f'{name}={_identity(value)}' for name, value in arguments.items())})"


def _identity(value: Any) -> str:
    if isinstance(value, Done):
        value = value.artifact
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_identity, value)) + "]"
    if isinstance(value, Config):
        # Not pydantic's own dump: it leaves out the fields that a subclass adds to what was declared.
        return canonical_json(value)
    if isinstance(value, Artifact):
        return f"{value.address}@{value.digest}"
    return f"future {id(value)}" if hasattr(value, "result") else repr(value)
