"""Giving products to other workspaces, and taking theirs, by way of DVC's default remote."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmcore.config import SettingsError, did_you_mean
from lmcore.lineage import MANIFEST, Manifest
from tasks.engine.artifact import Artifact
from tasks.engine.carried import notes_for_others
from tasks.engine.copies import take
from tasks.engine.experiment import Experiment, known_experiments
from tasks.engine.flow import AnyFlow
from tasks.engine.key import Address
from tasks.engine.plan import Action, Line, Planner
from tasks.engine.proof import prove
from tasks.engine.session import Listener, Session, Silent, label_of
from tasks.engine.shared import Shared, is_there, offer, prepare
from tasks.engine.stages import keep_in_step
from tasks.engine.step import Step, executing
from tasks.engine.store import Store
from tasks.engine.work import settle
from tasks.engine.workspace import Workspace
from tasks.versioning.remote import Remote, RemoteError, open_remote

PLACES = ("data/*/*", "models/*", "reports/*")
NO_REMOTE = "no remote is set; name one: dvc remote add --default NAME URL (a folder, s3://bucket/path, ...)"


@dataclass(frozen=True)
class Pushed:
    """What became of one product."""

    address: str
    outcome: str
    """`pushed`, `there` (it was already), or `skipped`."""
    size: int = 0
    why: str = ""


def push(
    workspace: Workspace, experiments: Sequence[str] = (), tell: Callable[[Pushed], None] = lambda _: None
) -> list[Pushed]:
    """Bring products and their entries into the remote: those of some experiments, or all that are whole.

    Raises:
        RemoteError: there is no remote, it is not there, or it refuses; what was pushed before stays.
        SettingsError: an experiment has made nothing here.
    """
    remote = _remote(workspace)
    session = Session(workspace)
    addresses = sorted(_all(workspace)) if not experiments else _made_by(session.store, experiments)
    prepare(remote)
    pushed = []
    for address in addresses:
        pushed.append(_push(session, remote, address))
        tell(pushed[-1])
    Shared(workspace).forget()
    return pushed


def _remote(workspace: Workspace) -> Remote:
    remote = open_remote(workspace.root)
    if remote is None:
        raise RemoteError(NO_REMOTE)
    return remote


def _push(session: Session, remote: Remote, address: str) -> Pushed:
    store, folder = session.store, session.workspace.path(address)
    with store.reading(address):
        proof = prove(session.workspace, address)
        is_new = proof.manifest is not None and not is_there(remote, proof.manifest)
        if is_new:  # a byte that went bad unseen, here or in the cache, is not to be handed on
            proof = prove(session.workspace, address, in_full=True)
        if proof.manifest is None:
            return Pushed(address, "skipped", why=proof.fault or "it is gone")
        manifest = store.known(proof.manifest)
        version = take(session, folder, manifest, anew=is_new)
    shared = Shared(session.workspace)
    outcome = offer(shared, remote, version, manifest, notes_for_others(session, manifest))
    return Pushed(address, outcome, manifest.size)


def _all(workspace: Workspace) -> Iterator[str]:
    for pattern in PLACES:
        for folder in workspace.root.glob(pattern):
            if (folder / MANIFEST).is_file():
                yield workspace.address(folder)


def _made_by(store: Store, experiments: Sequence[str]) -> list[str]:
    """What experiments have made, and all that it was made from, as far as it is still in its place."""
    found: dict[str, Manifest] = {}
    for name in experiments:
        root = store.workspace.root
        own = [each for home in ("models", "reports", "data/*") for each in root.glob(f"{home}/{name}")]
        folders = [each for folder in own for each in (folder, *folder.iterdir())]
        ends = [store.workspace.address(_followed(each)) for each in folders if (each / MANIFEST).is_file()]
        if not ends:
            known = known_experiments(store.workspace)
            if name not in known:
                raise SettingsError(
                    f"no experiment named '{name}', and nothing made by one.{did_you_mean(name, known)}"
                )
            raise SettingsError(f"experiment '{name}' has made nothing here; run it first, or lm pull it")
        for address in ends:
            _collect(store, address, None, found)
    return sorted(found)


def _followed(path: Path) -> Path:
    """Where an experiment's link leads; other links, such as `data` on a bigger disk, are left alone."""
    return Path(os.path.normpath(path.parent / path.readlink())) if path.is_symlink() else path


def _collect(store: Store, address: str, key: str | None, found: dict[str, Manifest]) -> None:
    try:
        manifest = store.read(store.workspace.path(address))
    except (OSError, ValueError):
        return
    if address in found or (key and manifest.key != key):
        return
    found[address] = manifest
    for value in manifest.inputs.values():
        for document in value if isinstance(value, list) else [value]:
            source = Artifact.from_json(document)
            if source.key:
                _collect(store, source.address, source.key, found)


@dataclass
class Puller(Planner):
    """The executor that restores whatever has a copy, and makes nothing."""

    listener: Listener = field(default_factory=Silent)

    def _decide(
        self, step: Step[Any, Any], arguments: Mapping[str, Any], last: Manifest | None
    ) -> tuple[Action, str, Address, Manifest | None]:
        action, why, address, manifest = super()._decide(step, arguments, last)
        if action != "restore":
            return action, why, address, manifest
        address, outcome = settle(self.session, step, arguments)
        if outcome is None:
            return "run", "no copy of it was whole", address, None
        self.listener.finished(label_of(step, arguments), outcome)
        return action, outcome.why, address, outcome.manifest


def pull(
    workspace: Workspace, flow: AnyFlow, experiment: Experiment, listener: Listener | None = None
) -> list[Line]:
    """Restore what the remote, or a nearer copy, has of a flow's products.

    Returns:
        what became of each call: `reuse` and `restore` are here now, `run` and `depends` nobody has.

    Raises:
        RemoteError: there is no remote, or it does not answer.
    """
    shared = Shared(workspace)
    shared.forget()
    _remote(workspace).read("README.txt")  # to be told of a trouble before anything else
    session = Session(workspace, flow.name, experiment.name, listener=listener or Silent())
    puller = Puller(session, listener=session.listener)
    with executing(puller):
        flow(experiment)
    if shared.trouble:
        raise RemoteError(shared.trouble)
    keep_in_step(session, flow, experiment)
    return puller.lines
