"""From a product back to every file that it was made from: by manifests, or a record where one is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lmcore.lineage import Manifest
from tasks.artifacts import SourceFiles
from tasks.engine.artifact import Artifact
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace

RECORD = "lineage.json"
"""Beside a registered model: what `as_json` wrote when it was registered."""


class Input(NamedTuple):
    """What a product was made from, and as what."""

    parameter: str
    node: Node


@dataclass(frozen=True)
class Node:
    """A product, or a source at the end of the line."""

    address: str
    name: str
    """The name that it was made under, or by which an experiment chose the source."""
    digest: str
    manifest: Manifest | None = None
    """None for a source, and for a product of which nothing is known any more."""
    inputs: tuple[Input, ...] = ()
    is_source: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    """A source's files with their SHA-256."""
    licence: str = ""
    size: int | None = None
    """Bytes of a source's files."""

    @property
    def is_gap(self) -> bool:
        """Whether the trace ends here without having reached a source."""
        return not self.is_source and self.manifest is None

    @property
    def identity(self) -> tuple[str, str]:
        return self.address, self.digest

    @property
    def step(self) -> str:
        """The step that made it; empty for a source."""
        return self.manifest.step if self.manifest else ""


def trace(root: Path, artifact: Artifact, record: Path | None = None) -> Node:
    """The graph from a product to its source files; a product that is reached twice is one object.

    A product that has been replaced at its address since is found among the remembered manifests.

    Args:
        record: a file that `as_json` wrote, for products of which no manifest is left. It knows nothing of
            when and by whom they were made.
    """
    return _Tracer(Store(Workspace(root)), _read_record(record)).node(artifact)


class _Tracer:
    """Remembers what it has seen: a product that many others read is looked up once."""

    def __init__(self, store: Store, record: Mapping[str, Mapping[str, Any]]) -> None:
        self.store = store
        self.record = record
        self.by_digest = {entry["digest"]: name for name, entry in record.items()}
        self.known: dict[tuple[str, str | None, str | None], Node] = {}

    def node(self, artifact: Artifact) -> Node:
        known = (artifact.address, artifact.digest, artifact.key)
        if known not in self.known:
            self.known[known] = self._node(artifact)
        return self.known[known]

    def _node(self, artifact: Artifact) -> Node:
        digest = artifact.digest or ""
        if isinstance(artifact, SourceFiles):
            files, licence, size = artifact.files, artifact.licence, artifact.size
            return _source(artifact.address, artifact.name, digest, files, licence, size)
        manifest = self._manifest(artifact)
        if manifest is None and digest in self.by_digest:
            return self._recorded(self.by_digest[digest])
        if manifest is None:
            return Node(artifact.address, artifact.name, digest)
        inputs = tuple(Input(parameter, self.node(each)) for parameter, each in inputs_in(manifest))
        return Node(artifact.address, manifest.name, digest, manifest, inputs)

    def _manifest(self, artifact: Artifact) -> Manifest | None:
        """How this very version came to be: another one may have come out with the same bytes since."""
        present = None
        with suppress(OSError, ValueError):
            present = self.store.read(self.store.workspace.path(artifact.address))
        if present and present.digest != artifact.digest:
            present = None
        if artifact.key and (present is None or present.key != artifact.key):
            return self.store.remembered(artifact.key) or present
        return present

    def _recorded(self, called: str) -> Node:
        entry = self.record[called]
        address, name, digest = called.partition("@")[0], entry["name"], entry["digest"]
        if "files" in entry:
            return _source(address, name, digest, entry["files"], entry["licence"], entry["size"])
        if "step" not in entry:
            return Node(address, name, digest)
        inputs = [(parameter, each) for parameter, names in entry["inputs"].items() for each in names]
        nodes = tuple(Input(parameter, self._recorded(each)) for parameter, each in inputs)
        return Node(address, name, digest, _manifest_of(entry), nodes)


def _source(
    address: str, name: str, digest: str, files: Mapping[str, str], licence: str, size: int | None
) -> Node:
    return Node(address, name, digest, is_source=True, files=files, licence=licence, size=size)


def _read_record(file: Path | None) -> dict[str, Any]:
    """The products of a record, by name; none where there is no such file, or it is of another form."""
    try:
        products = json.loads(file.read_text(encoding="utf-8"))["products"] if file else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    is_known = all("name" in entry and isinstance(entry["inputs"], dict) for entry in products.values())
    return products if is_known else {}


def _manifest_of(entry: Mapping[str, Any]) -> Manifest:
    """As much of a manifest as a record tells."""
    return Manifest(
        step=entry["step"],
        name=entry["name"],
        key=entry["key"],
        key_document={"settings": entry["settings"], "code": entry["code"]},
        digest=entry["digest"],
        files={},
        inputs={},
        facts=entry["facts"],
        environment=entry["environment"],
    )


def inputs_in(manifest: Manifest) -> Iterator[tuple[str, Artifact]]:
    """(parameter, artifact) of all that a manifest names as its inputs."""
    for parameter, value in manifest.inputs.items():
        for document in value if isinstance(value, list) else [value]:
            yield parameter, Artifact.from_json(document)


def ordered(root: Node) -> list[Node]:
    """Every node once, each behind those that it was made from; the root is the last."""
    found: dict[tuple[str, str], Node] = {}

    def visit(node: Node) -> None:
        if node.identity not in found:
            for _, each in node.inputs:
                visit(each)
            found[node.identity] = node

    visit(root)
    return list(found.values())


def sources_of(root: Node) -> list[Node]:
    """The sources at the ends of a graph, each once."""
    return [node for node in ordered(root) if node.is_source]


def gaps_of(root: Node) -> list[Node]:
    """Products of which nothing is known any more: behind them the trace is lost."""
    return [node for node in ordered(root) if node.is_gap]
