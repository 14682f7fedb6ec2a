"""What a call of a step comes to: reuse what is proved, restore what a copy is left of, else build.

Under one lock per address, verified again once it is held: another process may have made the product.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmcore.config import canonical
from lmcore.lineage import Manifest, read_manifest
from tasks.engine.artifact import Artifact
from tasks.engine.carried import carried_digest, keep_carried
from tasks.engine.copies import can_restore, restore, take_copy
from tasks.engine.key import Address, address_of, artifact_of, drifted, key_document
from tasks.engine.making import build
from tasks.engine.proof import Proof
from tasks.engine.session import Outcome, Session, label_of
from tasks.engine.step import Step


def locate(session: Session, step: Step[Any, Any], arguments: Mapping[str, Any]) -> Address:
    """Key and address of a call whose inputs are all known."""
    document = key_document(step, arguments, session.code)
    if step.carries:
        document["carried"] = carried_digest(session, step, arguments["name"], document)
    if step.sees:
        document["sees"] = step.sees(session.workspace.root, arguments)
    return address_of(step, arguments["name"], canonical(document))


def find(session: Session, step: Step[Any, Any], label: str, address: Address) -> Proof:
    """The whole product of a call, unless it is to be made again."""
    if label in session.forced:
        return Proof(None, "forced", is_unwanted=True)
    proof = session.store.find(address, in_full=session.verify)
    made = proof.manifest or session.store.remembered(address.key)
    if session.refresh and made and (drift := drifted(made)):
        return Proof(None, drift, is_unwanted=True)
    if proof.manifest is None:
        return proof
    if not _holds(session, step, address):
        return Proof(proof.manifest, "the registry does not hold it as it was left", has_lost_effect=True)
    return proof


def _holds(session: Session, step: Step[Any, Any], address: Address) -> bool:
    """Whether what the step did outside of its product's folder still holds."""
    product = session.workspace.path(address.path)
    return step.is_registered is None or step.is_registered(session.workspace.root, product, session.verify)


def _renew(session: Session, step: Step[Any, Any], arguments: Mapping[str, Any], address: Address) -> None:
    """Bring it about again; another run may just have done so."""
    assert step.renew
    with session.store.building(address.path):
        if not _holds(session, step, address):
            step.renew(session.workspace.root, session.workspace.path(address.path), arguments)


def settle(
    session: Session, step: Step[Any, Any], arguments: Mapping[str, Any]
) -> tuple[Address, Outcome | None]:
    """Reuse or restore; None when the product has to be built."""
    address, label = locate(session, step, arguments), label_of(step, arguments)
    proof = find(session, step, label, address)
    if proof.manifest:
        outcome = Outcome("reused", proof.manifest)
        if proof.has_lost_effect:
            _renew(session, step, arguments, address)
            outcome = Outcome("restored", proof.manifest, proof.fault or "")
        return address, _keep(session, step, arguments, address, outcome)
    if proof.is_unwanted or not can_restore(session, address):
        return address, None
    with session.store.building(address.path):
        proof = session.store.find(address)
        if proof.manifest:  # another run has restored it meanwhile
            return address, _keep(session, step, arguments, address, Outcome("reused", proof.manifest))
        restored = restore(session, step, address)
    if restored is None:
        return address, None
    manifest, where = restored
    is_new = session.store.last(step.name, arguments["name"]) is None
    missing = "" if is_new else f"{address.path} was missing; "
    why = f"{f'{proof.fault}; ' if proof.fault else missing}from {where}"
    if not _holds(session, step, address):
        _renew(session, step, arguments, address)
    return address, _keep(session, step, arguments, address, Outcome("restored", manifest, why))


def _keep(
    session: Session, step: Step[Any, Any], arguments: Mapping[str, Any], address: Address, outcome: Outcome
) -> Outcome:
    """Note what now stands under the name, and see that data has a second copy."""
    store, manifest, name = session.store, outcome.manifest, arguments["name"]
    store.remember(manifest)
    store.use(step.name, name, manifest.key)
    if not step.makes.is_data():
        store.link(step.name, name, address)
        return outcome
    with store.reading(address.path):
        if _stands(session, address, manifest):  # else another run has put another version there since
            take_copy(session, address, manifest)
            if step.carries:
                keep_carried(session, step, name, address, manifest)
    return outcome


def _stands(session: Session, address: Address, manifest: Manifest) -> bool:
    try:
        present = read_manifest(session.workspace.path(address.path))
    except (OSError, ValueError):
        return False
    return (present.key, present.digest) == (manifest.key, manifest.digest)


def perform(session: Session, step: Step[Any, Any], arguments: Mapping[str, Any]) -> Artifact:
    """Do a call: the artifact that it returns is proved, restored or just built."""
    label = label_of(step, arguments)
    address, outcome = settle(session, step, arguments)
    if outcome is None:
        told = f"{label} is being made already; waiting for it"
        waiting = lambda: session.listener.said(label, told)  # noqa: E731
        with session.store.building(address.path, on_wait=waiting):
            if step.carries:  # another run may have handed on a newer ledger meanwhile
                address = locate(session, step, arguments)
            proof = find(session, step, label, address)
            if proof.manifest:
                outcome = Outcome("reused", proof.manifest, "another run made it")
            else:
                outcome = build(session, step, arguments, address, proof)
            _keep(session, step, arguments, address, outcome)
    tell(session, step, arguments, outcome)
    return artifact_of(step, arguments["name"], address, outcome.manifest)


def tell(session: Session, step: Step[Any, Any], arguments: Mapping[str, Any], outcome: Outcome) -> None:
    """Report what became of a call."""
    label = label_of(step, arguments)
    session.outcomes[label] = outcome
    if outcome.action in ("reused", "restored"):
        session.tracker.reused(label, outcome.manifest)
    session.listener.finished(label, outcome)
