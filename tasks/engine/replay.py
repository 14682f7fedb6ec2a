"""Making a part of a product again with changed code, and comparing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lmcore.lineage import Facts, Manifest
from tasks.engine.artifact import Artifact
from tasks.engine.carried import carried_file
from tasks.engine.compared import first_difference
from tasks.engine.key import Address, flat_inputs
from tasks.engine.proof import prove
from tasks.engine.session import Session, label_of
from tasks.engine.slots import compute_slots
from tasks.engine.step import Build, Replayed, Step

_MOST_NAMES = 8


class CannotReplay(Exception):
    """What a replay needs is missing; the step is left to run."""


@dataclass(frozen=True)
class Case:
    """A call whose code changed, and the product that the old code made of the same things."""

    step: Step[Any, Any]
    arguments: Mapping[str, Any]
    address: Address
    """With the new code."""
    path: str
    """Where the product lies."""
    product: Manifest

    @property
    def label(self) -> str:
        return label_of(self.step, self.arguments)

    @property
    def inputs(self) -> list[Artifact]:
        return [artifact for _, artifact in flat_inputs(self.arguments)]

    @property
    def changed(self) -> list[str]:
        """The definitions that are new, gone or other, as `module:name`."""
        was, now = self.product.key_document["code"], self.address.document["code"]
        return sorted(name for name in {*was, *now} if was.get(name) != now.get(name))

    @property
    def changes(self) -> str:
        return in_words(self.changed)

    def not_replayed(self, replayed: Replayed) -> list[str]:
        """What changed and had no part in a replay, so that nothing is known of it."""
        there = self.address.document["code"]
        misses = replayed.misses or (lambda _: False)
        return [name for name in self.changed if name in there and misses(name)]


def in_words(definitions: Sequence[str]) -> str:
    """The first few names."""
    told = ", ".join(name.replace(":", ".").rstrip(".") for name in definitions[:_MOST_NAMES])
    return told + (f" and {len(definitions) - _MOST_NAMES} more" if len(definitions) > _MOST_NAMES else "")


def replay(session: Session, case: Case) -> Replayed:
    """Make a part of a product (all of it, unless its step knows better) again in scratch, and compare.

    Raises:
        CannotReplay: an input is not there, or the step does something outside of its folder.
    """
    step, store, workspace = case.step, session.store, session.workspace
    if step.is_registered:
        raise CannotReplay("it does something outside of its folder, which is not done for a try")
    with ExitStack() as held:
        held.enter_context(store.building(case.address.path))
        for place in sorted({case.path, *(artifact.address for artifact in case.inputs)}):
            held.enter_context(store.reading(place))
        _check_inputs(session, case)
        scratch = store.scratch(f"replay-{step.name}", case.address, keep=False)
        held.callback(shutil.rmtree, scratch, ignore_errors=True)
        build = Build(scratch, workspace.root, carried=_carried(session, case))
        build.on_progress = lambda told: _progress(session, case.label, told)
        if step.cores:
            waiting = partial(session.listener.said, case.label, "waiting for cores that others compute on")
            build.cores = held.enter_context(compute_slots(step.cores(case.arguments), waiting))
        session.listener.started(case.label)
        try:
            return _make(case, build, workspace.path(case.path))
        except Exception as error:
            return Replayed("replayed", f"it fails: {error}")


def _make(case: Case, build: Build, product: Path) -> Replayed:
    def make(given: Build) -> Facts:
        facts: Facts = case.step.function(given, **case.arguments)
        return facts

    partly = case.step.replay
    replayed = partly(make, build, product, **case.arguments) if partly else None
    if replayed is None:
        make(build)
        replayed = Replayed("replayed in full", first_difference(case.product, product, build.folder))
    return replayed


def _progress(session: Session, label: str, told: Mapping[str, Any]) -> None:
    if "say" not in told:
        session.listener.progressed(label, told)


def _check_inputs(session: Session, case: Case) -> None:
    for artifact in case.inputs:
        if artifact.key is not None:
            found = prove(session.workspace, artifact.address).manifest
            if found is None or found.digest != artifact.digest:
                raise CannotReplay(f"{artifact.address}, which it reads, is not there")


def _carried(session: Session, case: Case) -> Path | None:
    """The ledger that the product started from."""
    digest = case.product.key_document.get("carried")
    if not case.step.carries or digest is None:
        return None
    file = carried_file(session, case.path, case.step.carries, digest)
    if file is None:
        raise CannotReplay(f"of the {case.step.carries} that it started from no copy is left")
    return file
