"""The executor that makes every call a Prefect task; Prefect's cache is told what we proved.

One cache policy: computing the key proves the product, and writes or deletes Prefect's record from the
manifest. So the record is derived, and no file in a product can choose how it is read. Prefect swallows
what `compute_key` raises; the task's body computes the key again, and raises.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from prefect import task
from prefect._internal.result_records import ResultRecord, ResultRecordMetadata
from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.futures import PrefectFuture
from prefect.serializers import JSONSerializer

from lmcore.runtime import usable_cores
from tasks.engine.artifact import Artifact
from tasks.engine.key import artifact_of
from tasks.engine.session import Session, label_of
from tasks.engine.step import Done, Step, unwrap
from tasks.engine.work import perform, settle, tell
from tasks.subprocesses import stopping

T = TypeVar("T")


@dataclass
class ProvedProduct(CachePolicy):
    """Prefect's key is ours, and a hit is a product that has just been proved."""

    session: Session | None = None
    step: Step[Any, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **_: Any
    ) -> str | None:
        assert self.session and self.step
        arguments = {**self.settings, **{name: unwrap(value) for name, value in inputs["inputs"].items()}}
        try:
            address, outcome = settle(self.session, self.step, arguments)
        except Exception:  # the body meets the same error, and there it is seen
            return None
        name = f"{self.step.name}-{address.key}.json"
        record = self.session.workspace.private / "records" / name
        if outcome is None:
            record.unlink(missing_ok=True)
            return name
        artifact = artifact_of(self.step, arguments["name"], address, outcome.manifest)
        _write_record(record, name, artifact.to_json())
        tell(self.session, self.step, arguments, outcome)
        return name


def _write_record(record: Path, name: str, result: dict[str, Any]) -> None:
    metadata = ResultRecordMetadata(storage_key=name, serializer=JSONSerializer())
    record.parent.mkdir(parents=True, exist_ok=True)
    scratch = record.with_name(f".{record.name}.{threading.get_ident()}")
    scratch.write_bytes(ResultRecord(result=result, metadata=metadata).serialize())
    scratch.replace(record)


@dataclass(frozen=True)
class Branch:
    """A future of ours around Prefect's."""

    inner: PrefectFuture[Any]

    def result(self) -> Artifact:
        return Artifact.from_json(self.inner.result())


@dataclass
class OnPrefect:
    """Runs each call as a task of the Prefect flow run in whose context it is used."""

    session: Session

    def submit(self, step: Step[Any, Any], arguments: dict[str, Any]) -> Branch | Done[Artifact]:
        answer = self._once(step, arguments, lambda run, inputs: Branch(run.submit(inputs=inputs)))
        return Done(answer) if isinstance(answer, Artifact) else answer

    def call(self, step: Step[Any, Any], arguments: dict[str, Any]) -> Artifact:
        # A branch that failed says why itself; Prefect would only say that this task is not ready.
        for branch in _branches(arguments):
            branch.result()
        answer = self._once(step, arguments, lambda run, inputs: Artifact.from_json(run(inputs=inputs)))
        return answer.result() if isinstance(answer, Branch) else answer

    def side_by_side(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """Each in a thread of its own, as far as there are cores; all end before an error is raised."""
        threads = ThreadPoolExecutor(max(2, usable_cores()), "variant")
        try:
            futures = [threads.submit(copy_context().run, call) for call in calls]
            wait(futures)
        except BaseException:  # an interruption, which comes to this thread only
            stopping.set()
            raise
        finally:
            threads.shutdown(cancel_futures=stopping.is_set())
        return [future.result() for future in futures]

    def finish(self) -> None:
        """Wait for the branches that nothing waited for.

        Raises:
            Exception: what the first of them that failed raised.
        """
        for branch in self.session.answers():
            if isinstance(branch, Branch):
                branch.result()

    def _once(self, step: Step[Any, Any], arguments: dict[str, Any], start: Callable[[Any, Any], Any]) -> Any:
        def make() -> Any:
            inputs = {name: _for_prefect(value) for name, value in arguments.items() if _is_input(value)}
            settings = {name: value for name, value in arguments.items() if name not in inputs}
            return start(self._task(step, settings), inputs)

        return self.session.once(step, arguments, make)

    def _task(self, step: Step[Any, Any], settings: dict[str, Any]) -> Any:
        session, label = self.session, label_of(step, settings)

        def body(inputs: dict[str, Any]) -> dict[str, Any]:
            arguments = {**settings, **{name: unwrap(value) for name, value in inputs.items()}}
            return perform(session, step, arguments).to_json()

        decorate = task(
            name=step.name,
            task_run_name=label,
            cache_policy=ProvedProduct(session=session, step=step, settings=settings),
            persist_result=True,
            result_serializer="json",
            cache_result_in_memory=False,
            refresh_cache=True if label in session.forced else None,
        )
        return decorate(body)


def _is_input(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(_is_input(item) for item in value)
    return isinstance(value, Artifact | Branch | Done)


def _branches(values: Mapping[str, Any]) -> Iterator[Branch]:
    for value in values.values():
        yield from (
            each for each in (value if isinstance(value, list) else [value]) if isinstance(each, Branch)
        )


def _for_prefect(value: Any) -> Any:
    """Artifacts as JSON; Prefect waits for its own futures wherever they stand."""
    if isinstance(value, list | tuple):
        return [_for_prefect(item) for item in value]
    if isinstance(value, Branch):
        return value.inner
    return unwrap(value).to_json()
