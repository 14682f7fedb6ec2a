"""The flows as DVC knows them: a stage in `dvc.yaml` for each data product of an experiment that has a file.

Walking a flow costs no key and no digest of a product: data lies at a fixed path. A stage belongs to the
experiment that last changed a setting on which its data depends, as the data's name does, so variants that
share data share its stages. It depends on the experiment's whole file: which lines of it count for a step,
only `lm` knows, and it says "reuse" in an instant when DVC asks for nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lmcore.config import SettingsError
from lmcore.lineage import MANIFEST, read_manifest
from tasks.engine.artifact import Artifact
from tasks.engine.experiment import Experiment, experiment_files, known_experiments
from tasks.engine.flow import AnyFlow, innermost_call
from tasks.engine.key import flat_inputs
from tasks.engine.session import ReachedUntil, Session
from tasks.engine.step import Done, Step, executing, unwrap
from tasks.engine.store import Store, write_small
from tasks.engine.workspace import Workspace
from tasks.versioning.objects import VersioningError
from tasks.versioning.pipeline import Pipeline, Stage, is_ours, read_pipeline, update_pipeline

T = TypeVar("T")


@dataclass
class Declarer:
    """The executor that only asks what a flow makes where, and from what."""

    session: Session
    stages: dict[str, Stage] = field(default_factory=dict)
    covered: set[tuple[str, str]] = field(default_factory=set)
    """(flow, experiment) of which all stages are known now."""
    _known: dict[tuple[str, str], list[Path]] = field(default_factory=dict)

    def submit(self, step: Step[Any, Any], arguments: dict[str, Any]) -> Done[Artifact]:
        return Done(self.call(step, arguments))

    def call(self, step: Step[Any, Any], arguments: dict[str, Any]) -> Artifact:
        arguments = {name: unwrap(value) for name, value in arguments.items()}
        return self.session.once(step, arguments, lambda: self._declare(step, arguments))

    def side_by_side(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        return [call() for call in calls]

    def _declare(self, step: Step[Any, Any], arguments: Mapping[str, Any]) -> Artifact:
        name, called = arguments["name"], innermost_call()
        made: Artifact = step.makes(f"{step.makes.home}/{name}", name, None)
        if called is None or not step.makes.is_data():
            return made
        flow, experiment = called
        owner = experiment.data_name(flow.experiment)
        with suppress(SettingsError):  # overrides have changed the data: no file describes it
            files = self._files(flow.name, owner)
            paths = [*self._reads(step, arguments), *map(self.session.workspace.address, files)]
            stage = Stage(
                _stage_name(step.name, name), flow.name, owner, step.name, _outermost(paths), made.address
            )
            self.stages[stage.name] = stage
            self.covered.add((flow.name, owner))
        return made

    def _files(self, flow: str, owner: str) -> list[Path]:
        if (flow, owner) not in self._known:
            self._known[flow, owner] = experiment_files(self.session.workspace, flow, owner)
        return self._known[flow, owner]

    def _reads(self, step: Step[Any, Any], arguments: Mapping[str, Any]) -> Iterator[str]:
        """Sources as the step names them, else its inputs; models are no data and stay DVC's blind spot."""
        if step.reads:
            workspace = self.session.workspace
            yield from (workspace.address(workspace.root / path) for path in step.reads(arguments))
            return
        for _, artifact in flat_inputs(arguments):
            if artifact.is_data():
                yield artifact.address


def declare(
    workspace: Workspace, flow: AnyFlow, experiment: Experiment, until: str | None = None
) -> Declarer:
    """The stages of a flow's data products, of which nothing has to be there yet."""
    declarer = Declarer(Session(workspace, flow.name, experiment.name, until=until))
    with executing(declarer), suppress(ReachedUntil):
        flow(experiment)
    if until:
        declarer.covered.clear()
    return declarer


def is_dvc_in_charge() -> bool:
    """Whether this is a stage of `dvc repro`: then all steps run in this process, without Prefect."""
    return "DVC_STAGE" in os.environ


def keep_in_step(session: Session, flow: AnyFlow, experiment: Experiment) -> None:
    """Bring `dvc.yaml` and `dvc.lock` up to what this run has left; their trouble is none of the run's.

    Not under `dvc repro`, which sets DVC_STAGE, holds DVC's lock and records the stage itself.
    """
    if not session.keep_copies or is_dvc_in_charge():
        return
    try:
        found = declare(session.workspace, flow, experiment, session.until)
        _settle(session.store, read_pipeline(session.workspace.root), found)
    except (VersioningError, OSError) as error:
        session.listener.said("dvc.yaml", f"dvc.yaml and dvc.lock were left as they are: {error}")


def _settle(store: Store, pipeline: Pipeline, found: Declarer) -> None:
    wanted = [stage for stage in found.stages.values() if _belongs(store, pipeline, stage)]
    changed = [stage for stage in wanted if not _is_written(pipeline, stage)]
    names, outs = {stage.name for stage in wanted}, {stage.out for stage in wanted}
    known = known_experiments(store.workspace)
    gone = [
        name
        for name, entry in pipeline.stages.items()
        if (owner := is_ours(entry)) and name not in names
        and ((owner in found.covered and name not in found.stages)
             or owner[1] not in known  # without the file of its experiment, `dvc repro` would stop at it
             or any(name in pipeline.made_by(out) for out in outs))
    ]  # fmt: skip
    stale = [
        stage
        for stage in wanted
        if stage in changed or _facts(store, stage, pipeline) != _noted(store, stage)
    ]
    if not (changed or gone or stale):
        return
    with ExitStack() as held:
        for stage in stale:
            held.enter_context(store.reading(stage.out))
        root = store.workspace.root
        locked = update_pipeline(root, changed, gone, [stage.name for stage in stale])
        for stage in stale:
            _note(store, stage, _facts(store, stage, Pipeline({}, locked)))


def _belongs(store: Store, pipeline: Pipeline, stage: Stage) -> bool:
    """Whether the stage is to stand in `dvc.yaml`: its product is there, and nobody else's stage makes it.

    A user's own stage is left alone, and so is that of another experiment which has made these very bytes.
    """
    version = _version(store, stage.out)
    for name in pipeline.made_by(stage.out):
        owner = is_ours(pipeline.stages[name])
        if owner is None:
            return False
        is_mine = owner[1] == stage.experiment or not _is_there(store.workspace, owner)
        if not is_mine and pipeline.version_of(name, stage.out) == version:
            return False
    return version is not None


def _is_there(workspace: Workspace, owner: tuple[str, str]) -> bool:
    with suppress(SettingsError):
        return bool(experiment_files(workspace, *owner))
    return False


def _is_written(pipeline: Pipeline, stage: Stage) -> bool:
    entry = pipeline.stages.get(stage.name)
    return isinstance(entry, dict) and {**entry, **stage.entry()} == entry


def _version(store: Store, address: str) -> str | None:
    """The version in DVC's cache of what stands at an address."""
    try:
        copies = store.copies(read_manifest(store.workspace.path(address)).key)
    except (OSError, ValueError):
        return None
    return copies.dvc if copies else None


def _facts(store: Store, stage: Stage, pipeline: Pipeline) -> dict[str, Any]:
    """All that `dvc.lock` depends on, cheap to look at, and what it says."""
    paths = {path: _look(store.workspace.path(path)) for path in (*stage.deps, stage.out)}
    return {"stage": stage.entry(), "paths": paths, "locked": pipeline.locked.get(stage.name)}


def _look(path: Path) -> str:
    """Changes whenever the bytes at a path do: by the manifest, which proves them, else by times."""
    file = path / MANIFEST if (path / MANIFEST).is_file() else path
    if file.is_file():
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    stats = {each.relative_to(path).as_posix(): each.stat() for each in path.rglob("*") if each.is_file()}
    rows = sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats.items())
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _noted(store: Store, stage: Stage) -> Any:
    try:
        return json.loads(_memory(store, stage).read_text())
    except (OSError, ValueError):
        return None


def _note(store: Store, stage: Stage, facts: Mapping[str, Any]) -> None:
    write_small(_memory(store, stage), json.dumps(facts))


def _memory(store: Store, stage: Stage) -> Path:
    return store.private / "stages" / f"{stage.name}.json"


def _stage_name(step: str, name: str) -> str:
    """Of the letters that DVC allows; a name that had others is told apart by its digest."""
    plain = re.sub(r"[^\w-]", "_", name, flags=re.ASCII)
    mark = "" if plain == name else f"-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
    return f"{step}-{plain}{mark}"


def _outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """Each once, without those that lie in another one."""
    known = {Path(path) for path in paths}
    return tuple(path.as_posix() for path in sorted(known) if known.isdisjoint(path.parents))
