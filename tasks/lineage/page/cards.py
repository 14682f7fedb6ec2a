"""Each product and each source of a graph, with all that is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmcore.lineage import Manifest
from tasks.lineage.graph import Node
from tasks.lineage.words import (
    entitled,
    flat_settings,
    memory_in_words,
    outcome_of,
    plain,
    title_of,
    value_in_words,
    words_on,
)
from tasks.words import count, duration, size

MOST_FILES = 5_000
"""Of a source on the page; `lineage.json` has them all."""
HIDDEN_FACTS = ("identity",)
"""Facts that only programs read."""
Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Link:
    """To another card of the page."""

    id: str
    words: str
    role: str = ""


@dataclass(frozen=True)
class Card:
    """A product."""

    id: str
    number: int
    title: str
    name: str
    address: str
    sentence: str
    outcome: str
    """What came of it, in a few words."""
    summary: str
    """When and how long."""
    identity: Pairs
    """Digest, key and fingerprint in full."""
    made: Pairs
    """When, where, at what cost, from which commit, by which runs."""
    facts: Pairs
    settings: Pairs
    code: list[tuple[str, str]]
    """(module, its definitions) that the step can reach."""
    num_definitions: int
    made_from: list[Link]
    read_by: list[Link]
    is_gap: bool


@dataclass(frozen=True)
class SourceCard:
    """A source and its files."""

    id: str
    name: str
    address: str
    licence: str
    digest: str
    size: str
    num_files: int
    documents: str
    files: list[tuple[str, str]]
    """(path, SHA-256)."""
    more: int
    """Files that are not listed here."""
    read_by: list[Link]


def cards_of(nodes: Sequence[Node]) -> tuple[list[SourceCard], list[Card]]:
    """Sources and products, each behind those that it was made from."""
    ids = {node.identity: f"n{number}" for number, node in enumerate(nodes, start=1)}
    readers: dict[tuple[str, str], list[Node]] = {node.identity: [] for node in nodes}
    for node in nodes:
        for identity in dict.fromkeys(each.identity for _, each in node.inputs):
            readers[identity].append(node)
    read_by = {
        identity: [Link(ids[each.identity], entitled(each)) for each in found]
        for identity, found in readers.items()
    }
    sources = [
        _source(node, ids[node.identity], readers[node.identity], read_by[node.identity])
        for node in nodes
        if node.is_source
    ]
    products = [node for node in nodes if not node.is_source]
    return sources, [
        _card(number, node, ids, read_by[node.identity]) for number, node in enumerate(products, start=1)
    ]


def _source(node: Node, id_: str, readers: Sequence[Node], read_by: list[Link]) -> SourceCard:
    documents = sum(
        int(reader.manifest.facts.get("documents", 0))
        for reader in readers
        if reader.manifest and reader.step == "ingest_source"
    )
    return SourceCard(
        id=id_,
        name=node.name,
        address=node.address,
        licence=node.licence,
        digest=node.digest,
        size=size(node.size) if node.size is not None else "",
        num_files=len(node.files),
        documents=f"{documents:,}" if documents else "",
        files=sorted(node.files.items())[:MOST_FILES],
        more=max(len(node.files) - MOST_FILES, 0),
        read_by=read_by,
    )


def _card(number: int, node: Node, ids: Mapping[tuple[str, str], str], read_by: list[Link]) -> Card:
    manifest = node.manifest
    definitions = manifest.key_document.get("code", {}) if manifest else {}
    return Card(
        id=ids[node.identity],
        number=number,
        title=title_of(node),
        name=node.name,
        address=node.address,
        sentence=words_on(node.step).sentence if manifest else "Nothing is known of it any more.",
        outcome=outcome_of(node.step, manifest.facts) if manifest else "",
        summary=_summary(manifest) if manifest else "",
        identity=list(_identity(node)),
        made=list(_made(manifest)) if manifest else [],
        facts=list(_facts(manifest)) if manifest else [],
        settings=list(_settings(manifest)) if manifest else [],
        code=_by_module(definitions),
        num_definitions=len(definitions),
        made_from=[
            Link(ids[each.identity], entitled(each), plain(parameter)) for parameter, each in node.inputs
        ],
        read_by=read_by,
        is_gap=node.is_gap,
    )


def _summary(manifest: Manifest) -> str:
    made = manifest.provenance
    if "finished" not in made:
        return "made elsewhere"
    return f"{made['finished'][:10]}, took {duration(made['seconds'])}"


def _identity(node: Node) -> Iterator[tuple[str, str]]:
    yield "digest of its bytes", node.digest
    if node.manifest:
        yield "key", node.manifest.key
        if fingerprint := node.manifest.key_document.get("fingerprint"):
            yield "fingerprint of the code", fingerprint


def _made(manifest: Manifest) -> Iterator[tuple[str, str]]:
    made = manifest.provenance
    if "finished" in made:
        elsewhere = ", elsewhere" if made.get("is_made_elsewhere") else ""
        yield "made", f"{made['finished'][:19].replace('T', ' ')} UTC on {made.get('host', '?')}{elsewhere}"
        cost = [duration(made["seconds"]), f"{duration(made.get('cpu_seconds', 0))} of processor time"]
        if memory := memory_in_words(made.get("peak_memory")):
            cost.append(f"{memory} of memory at the peak")
        yield "cost", ", ".join(cost)
        if made.get("flow"):
            yield "by", f"lm {made['flow']} {made['experiment']}, run {made['run']}"
        for service in ("MLflow", "Prefect"):
            if run := made.get(f"{service.lower()}_run_id"):
                yield f"run in {service}", run
        if git := made.get("git"):
            yield "commit", git["commit"] + (", and changes that were not committed" if git["dirty"] else "")
    if manifest.files:
        yield "size", f"{size(manifest.size)} in {count(len(manifest.files), 'file')}"
    libraries = [f"{name} {version}" for name, version in manifest.environment.items() if name != "cpu"]
    yield "libraries", ", ".join([*libraries, *([f"Python {made['python']}"] if made.get("python") else [])])
    yield "processor", manifest.environment.get("cpu", "")


def _facts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    for name, value in sorted(manifest.facts.items()):
        if name not in HIDDEN_FACTS:
            yield plain(name), value_in_words(value)


def _settings(manifest: Manifest) -> Iterator[tuple[str, str]]:
    for path, value in flat_settings(manifest.key_document.get("settings", {})):
        yield path, value_in_words(value)


def _by_module(definitions: Mapping[str, Any]) -> list[tuple[str, str]]:
    modules: dict[str, list[str]] = {}
    for definition in sorted(definitions):
        module, _, name = definition.partition(":")
        modules.setdefault(module, []).append(name or "(top level)")
    return [(module, ", ".join(names)) for module, names in modules.items()]
