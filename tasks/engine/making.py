"""Making a product: in scratch, under locks on what it is made from, sealed, then put in its place."""

from __future__ import annotations

import errno
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lmcore.config import SettingsError
from lmcore.lineage import Manifest, digest_of
from tasks.engine.artifact import Artifact
from tasks.engine.carried import carried_file
from tasks.engine.key import Address, artifact_of, drifted, environment, flat_inputs, inputs_of
from tasks.engine.leftovers import PIECES
from tasks.engine.meter import Meter
from tasks.engine.proof import Proof, prove
from tasks.engine.session import Outcome, Session, WorkTurnedUp, label_of
from tasks.engine.slots import compute_slots
from tasks.engine.step import Build, Step
from tasks.engine.workspace import Workspace

RESERVE = 2e7
"""Bytes that have to be free beside the product, for databases and logs."""


class StepError(SettingsError):
    """A step could not do its work, and the text says why and what to do."""


def build(
    session: Session, step: Step[Any, Any], arguments: Mapping[str, Any], address: Address, proof: Proof
) -> Outcome:
    """Run a step's function and put what it made where it belongs; the caller holds the address's build lock.

    Raises:
        WorkTurnedUp: this run is one in which nothing has to be made.
        StepError: no room on the disk, or an input changed meanwhile.
    """
    label, store = label_of(step, arguments), session.store
    if not session.may_build:
        raise WorkTurnedUp(label)
    session.listener.started(label)
    _check_space(session, step, arguments)
    _check_addresses(label, arguments, address)
    is_forced = label in session.forced
    scratch = store.scratch(step.name, address, keep=step.is_resumable and not is_forced)
    is_resumed = any(scratch.iterdir())
    given = Build(
        scratch,
        session.workspace.root,
        pieces=None if is_forced else pieces_folder(session.workspace, step.name, address.document),
        carried=_carried(session, step, address),
        seen=address.document.get("sees", {}),
        on_progress=lambda figures: _report(session, label, figures),
    )
    with _slots(session, step, arguments, given), ExitStack() as held, Meter() as meter:
        for _, artifact in flat_inputs(arguments):
            held.enter_context(store.reading(artifact.address))
            _check_input(session, artifact)
        run = held.enter_context(session.tracker.step(step, label, address.key, arguments))
        if run:
            given.on_metrics = run.log_metrics
        facts = _call(step, given, arguments)
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
            environment={name: version for name, version in environment().items() if name != "python"},
            provenance=_provenance(session, step, arguments, meter, run.run_id if run else None)
            | {"is_resumed": is_resumed},
        )
        outcome = _put_in_place(session, label, address, scratch, manifest, proof)
        artifact = artifact_of(step, arguments["name"], address, outcome.manifest)
        session.tracker.made(run, artifact, outcome.manifest)
    return outcome


def pieces_folder(workspace: Workspace, step: str, document: Mapping[str, Any]) -> Path:
    """Where pieces of a step's work are kept: of all that stands in its key, only the inputs may differ."""
    recipe = {name: document[name] for name in ("format", "step", "settings", "fingerprint")}
    return workspace.private / PIECES / step / digest_of([recipe, environment()])[:16]


@contextmanager
def _slots(
    session: Session, step: Step[Any, Any], arguments: Mapping[str, Any], build: Build
) -> Iterator[None]:
    """The cores that a call computes on, where it wants some for itself."""
    wanted = step.cores(arguments) if step.cores else 0
    if not wanted:
        yield
        return
    waiting = lambda: session.listener.said(  # noqa: E731
        label_of(step, arguments), "waiting until enough cores are free"
    )
    with compute_slots(wanted, waiting) as build.cores:
        yield


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
    wanted = step.forecast(arguments).disk + RESERVE
    free = shutil.disk_usage(session.workspace.root).free
    if wanted > free:
        raise StepError(
            f"{step.name} needs about {wanted / 1e6:,.0f} MB of disk and {free / 1e6:,.1f} MB are free; "
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
        "python": environment()["python"],
        "prefect_run_id": session.prefect_run_id,
        "mlflow_run_id": mlflow_run_id,
    }
