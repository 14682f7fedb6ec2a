"""The plan is the flow: the same calls, of which only the keys are computed.

Four answers: *reuse* (whole, and made from exactly this), *restore* (gone or damaged, but a copy is left),
*run* (and why), *depends* (runs only if the bytes of something above it change).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from lmcore.config import canonical
from lmcore.lineage import Manifest
from tasks.engine.accepted import fingerprint_of
from tasks.engine.artifact import Artifact
from tasks.engine.copies import find_copy
from tasks.engine.key import Address, address_of, artifact_of, drifted, flat_inputs, key_document
from tasks.engine.measures import foresee
from tasks.engine.reasons import changed_files, differences, in_words
from tasks.engine.session import Session, label_of
from tasks.engine.step import Done, Forecast, Step, unwrap
from tasks.engine.work import find, locate

Action = Literal["run", "reuse", "restore", "depends"]
T = TypeVar("T")


@dataclass(frozen=True)
class Line:
    """What will become of one call."""

    label: str
    action: Action
    why: str
    forecast: Forecast
    is_measured: bool
    """The forecast comes from an earlier run here, not from nominal speeds."""
    address: str
    needs: tuple[str, ...]
    """Labels of the calls whose products it reads."""
    warning: str | None = None


@dataclass
class Planner:
    """The executor that runs nothing."""

    session: Session
    lines: list[Line] = field(default_factory=list)
    _makers: dict[str, str] = field(default_factory=dict)

    def submit(self, step: Step[Any, Any], arguments: dict[str, Any]) -> Done[Artifact]:
        return Done(self.call(step, arguments))

    def call(self, step: Step[Any, Any], arguments: dict[str, Any]) -> Artifact:
        arguments = {name: unwrap(value) for name, value in arguments.items()}
        return self.session.once(step, arguments, lambda: self._plan(step, arguments))

    def side_by_side(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        return [call() for call in calls]

    def _plan(self, step: Step[Any, Any], arguments: Mapping[str, Any]) -> Artifact:
        label, name = label_of(step, arguments), arguments["name"]
        last = self.session.store.last(step.name, name)
        forecast, is_measured = foresee(self.session, step, arguments)
        needs = tuple(
            dict.fromkeys(
                self._makers[artifact.address]
                for _, artifact in flat_inputs(arguments)
                if artifact.address in self._makers
            )
        )
        unknown = [artifact for _, artifact in flat_inputs(arguments) if artifact.digest is None]
        if unknown:
            action, why, address = self._guess(step, arguments, unknown, last)
            manifest, warning = None, None
        else:
            action, why, address, manifest = self._decide(step, arguments, last)
            warning = drifted(manifest) if manifest else None
        self.lines.append(Line(label, action, why, forecast, is_measured, address.path, needs, warning))
        self._makers[address.path] = label
        if manifest:
            return artifact_of(step, name, address, manifest)
        unknown_yet: Artifact = step.makes(address.path, name, None, None, int(forecast.disk))
        return unknown_yet

    def _decide(
        self, step: Step[Any, Any], arguments: Mapping[str, Any], last: Manifest | None
    ) -> tuple[Action, str, Address, Manifest | None]:
        """All inputs are known, so the key is."""
        store, label = self.session.store, label_of(step, arguments)
        address = locate(self.session, step, arguments)
        proof = find(self.session, step, label, address)
        if proof.manifest and proof.has_lost_effect:
            return "restore", proof.fault or "", address, proof.manifest
        if proof.manifest:
            why = f"proved: {_files(proof.manifest)}" + _accepted(self.session, step, address, proof.manifest)
            return "reuse", why, address, proof.manifest
        copy = None if proof.is_unwanted else find_copy(self.session, address)
        before = store.remembered(address.key)
        if before and copy:
            fault = proof.fault or f"{address.path} is missing"
            return "restore", f"{fault}; a copy is in {copy.where}", address, before
        if proof.fault:
            return "run", proof.fault, address, None
        if before:
            return "run", f"{address.path} is missing", address, None
        return "run", _why(self.session, last, address.document, arguments), address, None

    def _guess(
        self,
        step: Step[Any, Any],
        arguments: Mapping[str, Any],
        unknown: list[Artifact],
        last: Manifest | None,
    ) -> tuple[Action, str, Address]:
        """Some inputs are still to be made: say what is certain, and what depends."""
        document = canonical(key_document(step, arguments, self.session.code))
        address = address_of(step, arguments["name"], document)
        if not step.makes.is_data():
            address = dataclasses.replace(address, path=f"{step.makes.home}/{arguments['name']}/{step.name}")
        if label_of(step, arguments) in self.session.forced:
            return "run", "forced", address
        above = ", ".join(dict.fromkeys(artifact.address for artifact in unknown))
        reasons = differences(last.key_document, document) if last else []
        if last is None or reasons:
            return "run", _why(self.session, last, document, arguments), address
        return "depends", f"runs only if the bytes of {above} change", address


def _why(
    session: Session, last: Manifest | None, document: Mapping[str, Any], arguments: Mapping[str, Any]
) -> str:
    if last is None:
        return "first time"
    changes = [
        (name, _file_changes(session, last, name, artifact)) for name, artifact in flat_inputs(arguments)
    ]
    reasons = [reason for _, told in changes for reason in told]
    explained = {f"{name} changed" for name, told in changes if told}
    rest = differences(last.key_document, document)
    reasons += [reason for reason in rest if reason.partition(":")[0] not in explained]
    return in_words(reasons) or "made under another key"


def _file_changes(session: Session, last: Manifest, name: str, artifact: Artifact) -> list[str]:
    """Which files of a source are other than last time."""
    from tasks.forgetting.ledger import why_gone

    before = last.inputs.get(name)
    if not isinstance(before, dict) or "files" not in before:
        return []
    changes = changed_files(before["files"], getattr(artifact, "files", {}))
    return why_gone(session.workspace, artifact.name, changes)


def _accepted(session: Session, step: Step[Any, Any], address: Address, manifest: Manifest) -> str:
    """Why a product of older code stands."""
    code = address.document["code"]
    if manifest.key_document["code"] == code:
        return ""
    why = session.code.accepted.why(step.name, fingerprint_of(code))
    return f"; accepted code ({why})" if why else ""


def _files(manifest: Manifest) -> str:
    count = len(manifest.files)
    return f"{count} file{'s' if count != 1 else ''}, {manifest.digest[:8]}"


def following(lines: list[Line], label: str) -> set[str]:
    """A call and all that reads, directly or not, what it makes."""
    reached = {label}
    for line in lines:
        if reached.intersection(line.needs):
            reached.add(line.label)
    return reached
