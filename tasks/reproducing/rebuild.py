"""Every product behind a model once more, in a workspace of its own; the user's is only read."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lmcore.config import SettingsError, canonical
from lmcore.lineage import Manifest, file_digest
from tasks.artifacts import SourceFiles
from tasks.engine.artifact import Artifact
from tasks.engine.key import Address, address_of, artifact_of, key_document
from tasks.engine.making import build
from tasks.engine.proof import Proof, prove
from tasks.engine.session import Listener, Session, Silent, label_of
from tasks.engine.store import Store
from tasks.engine.workspace import MARKER, Workspace
from tasks.forgetting.ledger import Place, read_forgotten
from tasks.forgetting.subject import root_of_source
from tasks.lineage.graph import Node, gaps_of, ordered, sources_of
from tasks.reproducing.arguments import arguments_of, at, step_of

REMADE, BROUGHT = "remade", "brought"


@dataclass(frozen=True)
class Product:
    """One product of the record, and what came of it now."""

    node: Node
    manifest: Manifest
    """As it is now."""
    how: str
    """`remade`, or `brought` from a copy because its sources are not what they were."""
    seconds: float
    why: str = ""

    @property
    def is_same(self) -> bool:
        return self.manifest.digest == self.node.digest


class Rebuilding:
    """A record, and the scratch workspace in which it is followed.

    Raises:
        SettingsError: the record has gaps, or a file behind it was forgotten.
    """

    def __init__(
        self, workspace: Workspace, root: Node, scratch: Path, listener: Listener | None = None
    ) -> None:
        self.workspace, self.root = workspace, root
        self.nodes = [node for node in ordered(root) if not node.is_source]
        _check(workspace, root)
        self.scratch = _prepare(workspace, scratch)
        self.session = Session(self.scratch, keep_copies=False, listener=listener or Silent())
        self.remade: dict[tuple[str, str | None], Artifact] = {}

    @cached_property
    def roots(self) -> dict[tuple[str, str | None], Path]:
        """Where the sources lie."""
        found: dict[tuple[str, str | None], Path] = {}
        for node in sources_of(self.root):
            source = SourceFiles(node.address, node.name, node.digest, files=dict(node.files))
            found[node.identity] = root_of_source(self.workspace, source)
        return found

    def run(self, tell: Callable[[Product], object] = lambda _: None) -> list[Product]:
        """Make them all, those first that others are made from; `tell` hears of each."""
        made = []
        for node in self.nodes:
            product = self._product(node)
            made.append(product)
            tell(product)
        return made

    def folder(self, node: Node) -> Path:
        """Where the product that stands for one of the record lies."""
        return self.scratch.path(self.remade[node.identity].address)

    def _product(self, node: Node) -> Product:
        assert node.manifest
        started, changed = time.monotonic(), self._changed_source(node)
        if changed or self._lacks_ledger(node.manifest):
            why = changed or "the ledger that it started from is gone"
            manifest = self._bring(node, why)
            self.remade[node.identity] = Artifact(
                node.address, node.name, manifest.digest, manifest.key, manifest.size
            )
            return Product(node, manifest, BROUGHT, time.monotonic() - started, why)
        step = step_of(node.manifest)
        arguments = arguments_of(node.manifest, self.remade, self.roots)
        address = self._address(node.manifest, step, arguments)
        outcome = build(self.session, step, arguments, address, Proof(None))
        self.session.listener.finished(label_of(step, arguments), outcome)
        self.remade[node.identity] = artifact_of(step, node.name, address, outcome.manifest)
        return Product(node, outcome.manifest, REMADE, time.monotonic() - started)

    def _address(self, recorded: Manifest, step: Any, arguments: dict[str, Any]) -> Address:
        """Key and address in the scratch workspace, by the code as it is now."""
        document = key_document(step, arguments, self.session.code)
        for name in ("carried", "sees"):  # what of the world it depended on, as it was then
            if name in recorded.key_document:
                document[name] = recorded.key_document[name]
        return address_of(step, recorded.name, canonical(document))

    def _changed_source(self, node: Node) -> str | None:
        """Which file of a source that a product read is not what it was."""
        for _, source in node.inputs:
            if source.is_source:
                root = self.roots[source.identity]
                for file, digest in source.files.items():
                    if not (root / file).is_file():
                        return f"{root / file} is gone"
                    if file_digest(root / file) != digest:
                        return f"{root / file} has other bytes now"
        return None

    def _lacks_ledger(self, manifest: Manifest) -> bool:
        """Whether the ledger that a version started from cannot be had; if it can, it is laid ready."""
        digest = manifest.key_document.get("carried")
        if digest is None:
            return False
        kept = self.workspace.private / "carried" / digest
        if not kept.is_file() or file_digest(kept) != digest:
            return True
        target = self.scratch.private / "carried" / digest
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, target)
        return False

    def _bring(self, node: Node, why: str) -> Manifest:
        """A copy of the product itself: from its place, DVC's cache or its remote.

        Raises:
            SettingsError: there is none.
        """
        assert node.manifest
        target = self.scratch.path(node.address)
        present = prove(self.workspace, node.address, in_full=True).manifest
        if present and present.digest == node.digest:
            shutil.copytree(self.workspace.path(node.address), target)
        elif not self._restore(node.manifest, target):
            raise SettingsError(
                f"{why}, and no copy of {node.address} ({node.digest[:12]}) is left; bring the sources back"
                + at(node.manifest)
            )
        brought = prove(self.scratch, node.address, in_full=True).manifest
        if brought is None or brought.digest != node.digest:
            raise SettingsError(f"{why}, and the copy of {node.address} is damaged; bring the sources back")
        return brought

    def _restore(self, manifest: Manifest, target: Path) -> bool:
        from tasks import versioning

        copies = Store(self.workspace).copies(manifest.key)
        if copies is None:
            return False
        try:
            versioning.restore(self.workspace.root, copies.dvc, target)
        except versioning.VersioningError:
            return False
        return True


def _check(workspace: Workspace, root: Node) -> None:
    if gaps := gaps_of(root):
        raise SettingsError(f"the record of {gaps[0].address} is gone, so nobody knows how it was made")
    lines = read_forgotten(workspace)
    for source in sources_of(root):
        for file, digest in source.files.items():
            for line in lines:
                if line.covers(Place(source.name, file, ""), digest):
                    raise SettingsError(
                        f"it saw {source.name}/{file}, which was {line.told}; what comes from it is not made "
                        "again, train without it instead"
                    )


def _prepare(workspace: Workspace, scratch: Path) -> Workspace:
    """An empty workspace with the user's parts and accepted code."""
    scratch.mkdir(parents=True, exist_ok=True)
    (scratch / MARKER).touch()
    if (accepted := workspace.root / "accepted.yaml").is_file():
        shutil.copyfile(accepted, scratch / accepted.name)
    return Workspace(scratch)


def unlike(products: Sequence[Product]) -> list[Product]:
    """Those that came out otherwise."""
    return [product for product in products if not product.is_same]
