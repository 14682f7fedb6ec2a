"""From a product back to every file that it was made from, by the manifests alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmcore.lineage import Manifest
from tasks.artifacts import SourceFiles
from tasks.engine.artifact import Artifact
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace


@dataclass(frozen=True)
class Node:
    """A product, or a source at the end of the line."""

    title: str
    digest: str
    note: str
    manifest: Manifest | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    """A source's files with their SHA-256."""
    licence: str = ""
    inputs: tuple[Node, ...] = ()


def trace(root: Path, artifact: Artifact) -> Node:
    """The tree from a product to its source files.

    A product that has been replaced at its address since is found among the remembered manifests.
    """
    return _node(Store(Workspace(root)), artifact)


def _node(store: Store, artifact: Artifact) -> Node:
    if isinstance(artifact, SourceFiles):
        note = f"{len(artifact.files)} file{'s' if len(artifact.files) != 1 else ''}"
        return Node(
            artifact.address, artifact.digest or "", note, files=artifact.files, licence=artifact.licence
        )
    manifest = _manifest(store, artifact)
    if manifest is None:
        return Node(artifact.address, artifact.digest or "", "its manifest is gone")
    inputs = tuple(_node(store, each) for each in inputs_in(manifest))
    return Node(artifact.address, manifest.digest, _note(manifest), manifest, inputs=inputs)


def _manifest(store: Store, artifact: Artifact) -> Manifest | None:
    try:
        present = store.read(store.workspace.path(artifact.address))
        if present.digest == artifact.digest:
            return present
    except (OSError, ValueError):
        pass
    return store.remembered(artifact.key) if artifact.key else None


def inputs_in(manifest: Manifest) -> Iterator[Artifact]:
    """The addresses that a manifest names as its inputs."""
    for value in manifest.inputs.values():
        for document in value if isinstance(value, list) else [value]:
            yield Artifact.from_json(document)


def _note(manifest: Manifest) -> str:
    made = manifest.provenance
    if "finished" not in made:
        return f"{manifest.step}, made elsewhere"
    git = made.get("git")
    commit = f"commit {git['commit'][:8]}{' and changes' if git['dirty'] else ''}" if git else "no commit"
    where = ", made elsewhere" if made.get("is_made_elsewhere") else ""
    when = made["finished"][:16].replace("T", " ")
    return f"{manifest.step}, {when}, {made['seconds']:.1f} s, {commit}{where}"


def sources_of(node: Node) -> list[Node]:
    """The sources at the ends of a tree, each once."""
    ends = (
        [node]
        if not node.inputs and node.files
        else [end for each in node.inputs for end in sources_of(each)]
    )
    return list({(end.title, end.digest): end for end in ends}.values())


def as_text(node: Node, most_files: int | None = None) -> str:
    """The tree in lines; what was shown once is not opened again, sources list their files at the end.

    Args:
        most_files: how many of a source's files are listed; all of them if left out.
    """
    lines = [f"{node.title}  {node.digest[:12]}  {node.note}", *_branches(node, "", set())]
    for source in sources_of(node):
        lines += ["", f"{source.title}: {source.licence}"]
        lines += [f"  {sha[:12]}  {name}" for name, sha in list(source.files.items())[:most_files]]
        if most_files is not None and len(source.files) > most_files:
            lines.append(f"  and {len(source.files) - most_files:,} more, all of them in lineage.txt")
    return "\n".join(lines) + "\n"


def _branches(node: Node, indent: str, shown: set[tuple[str, str]]) -> Iterator[str]:
    for number, each in enumerate(node.inputs, start=1):
        is_last = number == len(node.inputs)
        again = (each.title, each.digest) in shown
        shown.add((each.title, each.digest))
        note = "see above" if again else each.note
        yield f"{indent}{'└─' if is_last else '├─'} {each.title}  {each.digest[:12]}  {note}"
        if not again:
            yield from _branches(each, indent + ("   " if is_last else "│  "), shown)


def as_json(node: Node) -> str:
    """The same as JSON: products by address, each with its manifest's record, sources with their files.

    Where a tree holds two versions of one address, the later one's name ends in `@` and its digest.
    """
    products: dict[str, Any] = {}
    root = _collect(node, products)
    return json.dumps({"root": root, "products": products}, indent=1, sort_keys=True) + "\n"


def _collect(node: Node, products: dict[str, Any]) -> str:
    """Add a node and what it was made from; returns its name among the products."""
    name = node.title
    if name in products and products[name]["digest"] != node.digest:
        name = f"{name}@{node.digest[:12]}"
    if name not in products:
        products[name] = {"digest": node.digest}
        products[name] |= _record(node) | {"inputs": [_collect(each, products) for each in node.inputs]}
    return name


def _record(node: Node) -> dict[str, Any]:
    made = node.manifest
    if made is None:
        return {"files": dict(node.files), "licence": node.licence}
    return {
        "step": made.step,
        "key": made.key,
        "settings": made.key_document["settings"],
        "code": made.key_document["code"],
        "facts": made.facts,
        "environment": made.environment,
    }
