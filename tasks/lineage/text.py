"""The graph in a terminal, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tasks.lineage.graph import Node, sources_of
from tasks.words import count, duration


def as_text(root: Node) -> str:
    """The graph as a tree; what was shown once is not opened again, sources list their files at the end."""
    lines = [f"{root.address}  {root.digest[:12]}  {note_on(root)}", *_branches(root, "", set())]
    for source in sources_of(root):
        lines += ["", f"{source.address}: {source.licence}"]
        lines += [f"  {sha[:12]}  {name}" for name, sha in source.files.items()]
    return "\n".join(lines) + "\n"


def note_on(node: Node) -> str:
    """What the tree says behind a product: step, when, how long, from which commit."""
    if node.is_source:
        return count(len(node.files), "file")
    if node.manifest is None:
        return "its manifest is gone"
    made = node.manifest.provenance
    if "finished" not in made:
        return f"{node.step}, made elsewhere"
    git = made.get("git")
    commit = f"commit {git['commit'][:8]}{' and changes' if git['dirty'] else ''}" if git else "no commit"
    where = ", made elsewhere" if made.get("is_made_elsewhere") else ""
    when = made["finished"][:16].replace("T", " ")
    return f"{node.step}, {when}, {duration(made['seconds'])}, {commit}{where}"


def _branches(node: Node, indent: str, shown: set[tuple[str, str]]) -> Iterator[str]:
    for number, (_, each) in enumerate(node.inputs, start=1):
        is_last = number == len(node.inputs)
        again = each.identity in shown
        shown.add(each.identity)
        note = "see above" if again else note_on(each)
        yield f"{indent}{'└─' if is_last else '├─'} {each.address}  {each.digest[:12]}  {note}"
        if not again:
            yield from _branches(each, indent + ("   " if is_last else "│  "), shown)


def as_json(root: Node) -> str:
    """The same as JSON: products by address, each with its manifest's record, sources with their files.

    Nothing of the clock is in it. Where a graph holds two versions of one address, the later one's name ends
    in `@` and its digest.
    """
    products: dict[str, Any] = {}
    name = _collect(root, products)
    return json.dumps({"root": name, "products": products}, indent=1, sort_keys=True) + "\n"


def _collect(node: Node, products: dict[str, Any]) -> str:
    """Add a node and what it was made from; returns its name among the products."""
    name = node.address
    if name in products and products[name]["digest"] != node.digest:
        name = f"{name}@{node.digest[:12]}"
    if name not in products:
        products[name] = {"digest": node.digest, "name": node.name}
        inputs: dict[str, list[str]] = {}
        for parameter, each in node.inputs:
            inputs.setdefault(parameter, []).append(_collect(each, products))
        products[name] |= _record(node) | {"inputs": inputs}
    return name


def _record(node: Node) -> dict[str, Any]:
    made = node.manifest
    if made is None:
        is_known = node.is_source
        return {"files": dict(node.files), "licence": node.licence, "size": node.size} if is_known else {}
    return {
        "step": made.step,
        "key": made.key,
        "settings": made.key_document["settings"],
        "code": made.key_document["code"],
        "facts": made.facts,
        "environment": made.environment,
    }
