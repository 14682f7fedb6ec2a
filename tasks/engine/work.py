"""What a call of a step comes to: reuse what is proved, restore what a copy is left of, else build.

Under one lock per address, verified again once it is held: another process may have made the product.
"""

from __future__ import annotations

import errno
import shutil
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lmcore.config import SettingsError, canonical
from lmcore.lineage import Manifest, read_manifest
from tasks.engine.artifact import Artifact
from tasks.engine.carried import carried_digest, carried_file, keep_carried
from tasks.engine.key import Address, address_of, environment, flat_inputs, inputs_of, key_document
from tasks.engine.meter import Meter
from tasks.engine.proof import Proof, prove
from tasks.engine.session import Outcome, Session, label_of
from tasks.engine.step import Build, Step
from tasks.engine.store import Copies

Call = tuple[Step[Any, Any], Mapping[str, Any]]


class StepError(SettingsError):
    """A step could not do its work, and the text says why and what to do."""


def locate(session: Session, step: Step[Any, Any], arguments: Mapping[str, Any]) -> Address:
    """Key and address of a call whose inputs are all known."""
    document = key_document(step, arguments, session.code)
    if step.carries:
        document["carried"] = carried_digest(session, step, arguments["name"], document)
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
    if step.is_registered and not step.is_registered(
        session.workspace.root, session.workspace.path(address.path)
    ):
        return Proof(None, "the registry no longer holds it", is_unwanted=True)
    return proof


def drifted(manifest: Manifest) -> str | None:
    """What of the libraries that make bits is another version now."""
    now = environment()
    changes = [
        f"made with {name} {was}, now {now[name]}"
        for name, was in manifest.environment.items()
        if name in now and name != "python" and now[name] != was
    ]
    return "; ".join(changes) or None


def settle(
    session: Session, step: Step[Any, Any], arguments: Mapping[str, Any]
) -> tuple[Address, Outcome | None]:
    """Reuse or restore; None when the product has to be built."""
    address, label = locate(session, step, arguments), label_of(step, arguments)
    proof = find(session, step, label, address)
    if proof.manifest:
        return address, _keep(session, step, arguments, address, Outcome("reused", proof.manifest))
    if proof.is_unwanted or not can_restore(session, address):
        return address, None
    with session.store.building(address.path):
        proof = session.store.find(address)
        if proof.manifest:
            return address, Outcome("reused", proof.manifest)
        manifest = _restore(session, step, address)
    if manifest is None:
        return address, None
    why = proof.fault or f"{address.path} was missing"
    return address, _keep(session, step, arguments, address, Outcome("restored", manifest, why))


def can_restore(session: Session, address: Address) -> bool:
    """Whether a copy is left in DVC's cache or in MLflow's registry, without importing either."""
    return _version(session, address) is not None or _registered_copy(session, address) is not None


def _version(session: Session, address: Address) -> str | None:
    """The product's name in DVC's cache, if the cache has all of it."""
    copies = session.store.copies(address.key)
    if copies is None:
        return None
    from tasks.versioning import has

    return copies.dvc if has(session.workspace.root, copies.dvc) else None


def _registered_copy(session: Session, address: Address) -> Path | None:
    """The registry's copy of a model."""
    if address.path.startswith("data/"):
        return None
    from tasks.tracking.versions import find_copy

    return find_copy(session.workspace.root, address.key)


def _restore(session: Session, step: Step[Any, Any], address: Address) -> Manifest | None:
    """Bring a product back from a copy; None when the copy is damaged as well."""
    scratch = session.store.scratch(f"restore-{step.name}", address, keep=False)
    try:
        _fetch(session, address, scratch)
    except Exception as error:  # whatever DVC or a remote store may raise: the product can still be made
        session.listener.said(step.name, f"the copy of {address.path} is of no use: {error}")
        shutil.rmtree(scratch, ignore_errors=True)
        return None
    proof = prove(session.workspace, session.workspace.address(scratch), in_full=True)
    if proof.manifest is None or proof.manifest.key != address.key:
        shutil.rmtree(scratch)
        return None
    session.store.place(scratch, address.path, set_aside=True)
    return session.store.find(address).manifest


def _fetch(session: Session, address: Address, folder: Path) -> None:
    if version := _version(session, address):
        from tasks.versioning import restore

        restore(session.workspace.root, version, folder)
    elif copy := _registered_copy(session, address):
        shutil.copytree(copy, folder, dirs_exist_ok=True)


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
            _take_copy(session, address, manifest)
            if step.carries:
                keep_carried(session, step, name, address, manifest)
    return outcome


def _stands(session: Session, address: Address, manifest: Manifest) -> bool:
    try:
        present = read_manifest(session.workspace.path(address.path))
    except (OSError, ValueError):
        return False
    return (present.key, present.digest) == (manifest.key, manifest.digest)


def _take_copy(session: Session, address: Address, manifest: Manifest) -> None:
    """Put the product into DVC's cache, unless it is there."""
    from tasks.versioning import has, take

    root, copies = session.workspace.root, session.store.copies(manifest.key)
    is_kept = copies and copies.digest == manifest.digest and copies.dvc and has(root, copies.dvc)
    if session.keep_copies and not is_kept:
        md5 = take(root, session.workspace.path(address.path))
        session.store.remember_copy(manifest.key, Copies(manifest.digest, dvc=md5))


def perform(session: Session, step: Step[Any, Any], arguments: Mapping[str, Any]) -> Artifact:
    """Do a call: the artifact that it returns is proved, restored or just built."""
    label = label_of(step, arguments)
    address, outcome = settle(session, step, arguments)
    if outcome is None:
        waiting = lambda: session.listener.said(label, "another run is making this; waiting for it")  # noqa: E731
        with session.store.building(address.path, on_wait=waiting):
            if step.carries:  # another run may have handed on a newer ledger meanwhile
                address = locate(session, step, arguments)
            proof = find(session, step, label, address)
            if proof.manifest:
                outcome = Outcome("reused", proof.manifest, "another run made it")
            else:
                outcome = _build(session, step, arguments, address, proof)
            _keep(session, step, arguments, address, outcome)
    tell(session, step, arguments, outcome)
    return artifact_of(step, arguments["name"], address, outcome.manifest)


def tell(session: Session, step: Step[Any, Any], arguments: Mapping[str, Any], outcome: Outcome) -> None:
    """Report what became of a call."""
    label = label_of(step, arguments)
    if outcome.action in ("reused", "restored"):
        session.tracker.reused(label, outcome.manifest)
    session.listener.finished(label, outcome)


def artifact_of(step: Step[Any, Any], name: str, address: Address, manifest: Manifest) -> Artifact:
    made: Artifact = step.makes(address.path, name, manifest.digest, manifest.key, manifest.size)
    return made


def _build(
    session: Session, step: Step[Any, Any], arguments: Mapping[str, Any], address: Address, proof: Proof
) -> Outcome:
    label, store = label_of(step, arguments), session.store
    session.listener.started(label)
    _check_space(session, step, arguments)
    _check_addresses(label, arguments, address)
    is_forced = label in session.forced
    scratch = store.scratch(step.name, address, keep=step.is_resumable and not is_forced)
    build = Build(
        scratch,
        session.workspace.root,
        _carried(session, step, address),
        on_progress=lambda figures: _report(session, label, figures),
    )
    with ExitStack() as held, Meter() as meter:
        for _, artifact in flat_inputs(arguments):
            held.enter_context(store.reading(artifact.address))
            _check_input(session, artifact)
        run = held.enter_context(session.tracker.step(step, label, address.key, arguments))
        if run:
            build.on_metrics = run.log_metrics
        facts = _call(step, build, arguments)
        if step.carries and not (scratch / step.carries).is_file():
            raise StepError(f"{step.name} hands on {step.carries} and did not write it; correct the step")
        manifest = store.seal(
            scratch,
            step=step.name,
            name=arguments["name"],
            key=address.key,
            key_document=address.document,
            inputs={name: _addresses(value) for name, value in inputs_of(arguments).items()},
            facts=dict(facts),
            environment=environment(),
            provenance=_provenance(session, step, arguments, meter, run.run_id if run else None),
        )
        outcome = _put_in_place(session, label, address, scratch, manifest, proof)
        artifact = artifact_of(step, arguments["name"], address, outcome.manifest)
        session.tracker.made(run, artifact, outcome.manifest)
    return outcome


def _call(step: Step[Any, Any], build: Build, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        facts: Mapping[str, Any] = step.function(build, **arguments)
    except BaseException as error:
        if not step.is_resumable:
            shutil.rmtree(build.folder, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(build.workspace_root).free
            raise StepError(
                f"{step.name}: the disk is full ({free / 1e6:,.0f} MB left); make room and run again, "
                "nothing that was finished is lost"
            ) from error
        raise
    return facts


def _put_in_place(
    session: Session, label: str, address: Address, scratch: Path, manifest: Manifest, proof: Proof
) -> Outcome:
    seconds = manifest.provenance["seconds"]
    present = session.store.find(address).manifest
    if present and present.digest == manifest.digest:
        if drifted(present):  # the manifest is to name the libraries that are proved to make these bytes
            session.store.place(scratch, address.path, set_aside=False)
            return Outcome("rebuilt", manifest, "same bytes as before", seconds)
        shutil.rmtree(scratch)
        return Outcome("rebuilt", present, "same bytes as before", seconds)
    if present:
        aside = session.store.place(scratch, address.path, set_aside=True)
        where = session.workspace.address(aside) if aside else ""
        why = f"not deterministic: other bytes than before, which are now in {where}"
        session.listener.said(label, why)
        return Outcome("rebuilt", manifest, why, seconds)
    is_damaged = prove(session.workspace, address.path).fault is not None
    session.store.place(scratch, address.path, set_aside=is_damaged)
    return Outcome("built", manifest, proof.fault or "", seconds)


def _check_space(session: Session, step: Step[Any, Any], arguments: Mapping[str, Any]) -> None:
    wanted = step.forecast(arguments).disk
    free = shutil.disk_usage(session.workspace.root).free
    if wanted > free:
        raise StepError(
            f"{step.name} needs about {wanted / 1e6:,.0f} MB of disk and {free / 1e6:,.0f} MB are free; "
            "make room and run again"
        )


def _check_addresses(label: str, arguments: Mapping[str, Any], address: Address) -> None:
    if any(artifact.address == address.path for _, artifact in flat_inputs(arguments)):
        raise StepError(f"{label} reads {address.path} and would replace it; give what it makes another name")


def _carried(session: Session, step: Step[Any, Any], address: Address) -> Path | None:
    """The file that the key says this version starts from."""
    digest = address.document.get("carried")
    if not step.carries or digest is None:
        return None
    file = carried_file(session, address.path, step.carries, digest)
    if file is None:
        raise StepError(
            f"{step.name} starts from a {step.carries} ({digest[:8]}) of which no copy is left; "
            f"bring {address.path} back (dvc checkout), or remove it to begin a new {step.carries}"
        )
    return file


def _check_input(session: Session, artifact: Artifact) -> None:
    """Refuse an input that another run has replaced since this run proved it."""
    if artifact.key is None:
        return
    proof = prove(session.workspace, artifact.address)
    if proof.manifest is None or proof.manifest.digest != artifact.digest:
        fault = proof.fault or "another run replaced it"
        raise StepError(f"{artifact.address} changed while this run was using it ({fault}); run again")


def _report(session: Session, label: str, figures: Mapping[str, Any]) -> None:
    if "say" in figures:
        session.listener.said(label, figures["say"])
    else:
        session.listener.progressed(label, figures)


def _addresses(value: Artifact | list[Artifact]) -> Any:
    return [item.to_json() for item in value] if isinstance(value, list) else value.to_json()


def _provenance(
    session: Session,
    step: Step[Any, Any],
    arguments: Mapping[str, Any],
    meter: Meter,
    mlflow_run_id: str | None,
) -> dict[str, Any]:
    from tasks.versioning import git_state

    return {
        "run": session.run_id,
        "flow": session.flow,
        "experiment": session.experiment,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(meter.seconds, 3),
        "cpu_seconds": round(meter.cpu_seconds, 3),
        "peak_memory": meter.peak_memory,
        "forecast": asdict(step.forecast(arguments)),
        "git": git_state(session.workspace.root),
        "host": socket.gethostname(),
        "prefect_run_id": session.prefect_run_id,
        "mlflow_run_id": mlflow_run_id,
    }
