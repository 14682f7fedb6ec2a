"""`--accept-code`: where only code changed, make a part of the product again and see whether it is equal.

The flow is walked like for a plan, from its sources on. A step that would run only because definitions of
its code changed (same settings, same bytes to start from as a product that is there) is replayed. If all that
comes out is equal bit for bit, the new code's fingerprint stands for the old one's: the product keeps its
key, and the steps below it are looked at in the same way. After one difference nothing is accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

from lmcore.config import canonical
from lmcore.lineage import digest_of
from tasks.engine.accepted import Entry, fingerprint_of, read_accepted, write_accepted
from tasks.engine.artifact import Artifact
from tasks.engine.copies import can_restore
from tasks.engine.experiment import Experiment
from tasks.engine.flow import AnyFlow
from tasks.engine.key import Address, address_of, artifact_of, flat_inputs, key_document
from tasks.engine.locks import lock
from tasks.engine.proof import prove
from tasks.engine.replay import CannotReplay, Case, in_words, replay
from tasks.engine.session import ReachedUntil, Session, label_of
from tasks.engine.step import Done, Step, executing, unwrap
from tasks.engine.work import find, locate

T = TypeVar("T")


class NotEqual(Exception):
    """The new code makes other bytes: one line with what differed first."""


@dataclass(frozen=True)
class Verdict:
    """New code that was accepted."""

    step: str
    label: str
    fingerprint: str
    entry: Entry


def accept_code(
    session: Session, flow: AnyFlow, experiment: Experiment, *, is_trusting: bool = False
) -> list[Verdict]:
    """Accept what changed in the code of a flow's steps and makes the same bytes, and write it down.

    Args:
        session: as a plan gives it; what it is forced to make again is not looked at.
        is_trusting: take the user's word instead of a replay.

    Raises:
        NotEqual: a replay came out otherwise; nothing was accepted.
    """
    walk = Acceptance(session, is_trusting)
    with executing(walk), suppress(ReachedUntil):
        flow(experiment)
    root = session.workspace.root
    with lock(session.workspace.private / "accepted.lock"):
        accepted = read_accepted(root)
        for verdict in walk.verdicts:
            accepted = accepted.with_entry(verdict.step, verdict.fingerprint, verdict.entry)
        if walk.verdicts:
            write_accepted(root, accepted)
    return walk.verdicts


@dataclass
class Acceptance:
    """The executor that puts nothing in its place and judges changed code."""

    session: Session
    is_trusting: bool
    verdicts: list[Verdict] = field(default_factory=list)

    def submit(self, step: Step[Any, Any], arguments: dict[str, Any]) -> Done[Artifact]:
        return Done(self.call(step, arguments))

    def call(self, step: Step[Any, Any], arguments: dict[str, Any]) -> Artifact:
        arguments = {name: unwrap(value) for name, value in arguments.items()}
        return self.session.once(step, arguments, lambda: self._judge(step, arguments))

    def side_by_side(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        return [call() for call in calls]

    def _judge(self, step: Step[Any, Any], arguments: Mapping[str, Any]) -> Artifact:
        name = arguments["name"]
        if any(artifact.digest is None for _, artifact in flat_inputs(arguments)):
            return self._unknown(step, arguments)
        address = locate(self.session, step, arguments)
        proof = find(self.session, step, label_of(step, arguments), address)
        if proof.manifest:
            if self._was_accepted_just_now(
                step, address
            ):  # for another call: it has to hold for this one too
                self._prove(Case(step, arguments, address, address.path, proof.manifest))
            return artifact_of(step, name, address, proof.manifest)
        if not proof.is_unwanted:
            case = self._case(step, arguments, address)
            if case and (accepted := self._accept(case)):
                return artifact_of(step, name, accepted, case.product)
            before = self.session.store.remembered(address.key)
            if before and can_restore(self.session, address):
                return artifact_of(step, name, address, before)
        return self._unknown(step, arguments)

    def _unknown(self, step: Step[Any, Any], arguments: Mapping[str, Any]) -> Artifact:
        """It will be made anew, so what is below it is not judged."""
        document = canonical(key_document(step, arguments, self.session.code))
        unknown: Artifact = step.makes(
            address_of(step, arguments["name"], document).path, arguments["name"], None
        )
        return unknown

    def _case(self, step: Step[Any, Any], arguments: Mapping[str, Any], address: Address) -> Case | None:
        """Nothing but the code is other than for a product that is there."""
        document, wanted = address.document, _beside_code(address.document)
        for path in self._places(step, arguments["name"], address):
            found = prove(self.session.workspace, path).manifest
            if found is None or found.step != step.name or _beside_code(found.key_document) != wanted:
                continue
            if found.key_document.get("fingerprint") not in (None, document["fingerprint"]):
                return Case(step, arguments, address, path, found)
        return None

    def _places(self, step: Step[Any, Any], name: str, address: Address) -> Iterator[str]:
        """Where a product of this step may lie, that of this name first."""
        if step.makes.is_data():
            yield address.path
            return
        last = self.session.store.last(step.name, name)
        if last:
            yield address_of(step, name, last.key_document).path
        workspace = self.session.workspace
        yield from map(workspace.address, sorted(workspace.root.glob(f"{step.makes.home}/{step.name}-*")))

    def _was_accepted_just_now(self, step: Step[Any, Any], address: Address) -> bool:
        here = fingerprint_of(address.document["code"])
        return any((step.name, here) == (each.step, each.fingerprint) for each in self.verdicts)

    def _accept(self, case: Case) -> Address | None:
        """The address under the product's key, if the new code stands the test."""
        proved = self._prove(case)
        if proved is None:
            return None
        step, code, before = case.step, self.session.code, self.session.code.accepted
        fingerprint = fingerprint_of(case.address.document["code"])
        entry = Entry(
            same_as=case.product.key_document["fingerprint"],
            because=proved,
            when=date.today().isoformat(),
            changed=case.changes,
        )
        code.accepted = before.with_entry(step.name, fingerprint, entry)
        address = locate(self.session, step, case.arguments)
        if address.key != case.product.key:
            code.accepted = before
            self._say(case, f"it starts from another {step.carries} now, so it will run")
            return None
        self.verdicts.append(Verdict(step.name, case.label, fingerprint, entry))
        return address

    def _prove(self, case: Case) -> str | None:
        """What proves that the new code makes the same, in words; None where that cannot be tried.

        Raises:
            NotEqual: it does not.
        """
        if self.is_trusting:
            self._say(case, f"accepted without a replay ({case.changes})")
            return f"trusted, no replay, for {case.path}"
        try:
            replayed = replay(self.session, case)
        except CannotReplay as why:
            self._say(case, f"{why}; it will run, unless you say --trust")
            return None
        if replayed.difference:
            raise NotEqual(
                f"{case.label}: the new code makes something else: {replayed.difference} "
                f"({replayed.what}; changed: {case.changes}); nothing was accepted"
            )
        if missed := case.not_replayed(replayed):
            self._say(
                case,
                f"{replayed.what} and found no difference, but they do not run what changed in "
                f"{in_words(missed)}; it will be made again, unless you say --trust",
            )
            return None
        self._say(case, f"{replayed.what}, equal bit for bit; accepted ({case.changes})")
        return f"{replayed.what}, equal to {case.path}"

    def _say(self, case: Case, text: str) -> None:
        self.session.listener.said(case.label, f"{case.label}: {text}")


def _beside_code(document: Mapping[str, Any]) -> str:
    left_out = ("code", "fingerprint", "carried")
    return digest_of({name: value for name, value in document.items() if name not in left_out})
