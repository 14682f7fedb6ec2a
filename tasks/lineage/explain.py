"""One product in words: what it is, how and from what it was made, what it cost, who uses it, its state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lmcore.lineage import Manifest
from tasks.engine.proof import prove
from tasks.engine.reach import inputs_of
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace
from tasks.lineage.find import Found, address_of, known_products
from tasks.lineage.graph import Node, gaps_of, ordered, sources_of
from tasks.lineage.words import flat_settings, memory_in_words, outcome_of, value_in_words, words_on
from tasks.words import count, duration, size

MOST_NAMED = 8


@dataclass(frozen=True)
class Part:
    """An answer to one question."""

    question: str
    sentences: tuple[str, ...]


def explain(workspace: Workspace, found: Found) -> list[Part]:
    """Everything that is known of a product, question by question; each of its bytes is hashed for it."""
    root = found.trace(workspace)
    manifest = root.manifest
    if manifest is None:
        gone = f"{root.address} ({root.digest[:12]}) was registered, but its record is gone from here"
        return [Part("What", (gone,))]
    answers = {
        "What": _what(root, manifest),
        "How": _how(manifest),
        "From": _from(root),
        "Run": _run(manifest),
        "Cost": _cost(root, manifest),
        "Used by": _users(workspace, manifest),
        "State": _state(workspace, root, manifest),
    }
    return [Part(question, tuple(sentences)) for question, sentences in answers.items()]


def as_text(title: str, parts: Sequence[Part]) -> str:
    """The answers in lines, questions at the left."""
    lines = [title]
    for part in parts:
        for number, sentence in enumerate(part.sentences):
            lines.append(f"{part.question if number == 0 else '':<9} {sentence}")
    return "\n".join(lines) + "\n"


def _what(root: Node, manifest: Manifest) -> Iterator[str]:
    held = f", {size(manifest.size)} in {count(len(manifest.files), 'file')}" if manifest.files else ""
    yield f"{words_on(manifest.step).product} {manifest.name}{held}: {root.address}"
    if outcome := outcome_of(manifest.step, manifest.facts):
        yield outcome
    yield f"digest {manifest.digest}"
    yield f"key    {manifest.key}"


def _how(manifest: Manifest) -> Iterator[str]:
    yield f"{manifest.step}: {words_on(manifest.step).sentence}"
    settings = dict(flat_settings(manifest.key_document.get("settings", {})))
    if settings:
        yield "with " + "; ".join(f"{path} {value_in_words(value)}" for path, value in settings.items())
    code = manifest.key_document.get("code", {})
    fingerprint = manifest.key_document.get("fingerprint")
    known_as = f", fingerprint {fingerprint}" if fingerprint else ""
    yield f"by {count(len(code), 'function')} of this project{known_as}"
    libraries = (f"{name} {version}" for name, version in manifest.environment.items() if name != "cpu")
    yield f"and {', '.join(libraries)}, on a processor of kind {manifest.environment.get('cpu', '?')}"


def _from(root: Node) -> Iterator[str]:
    for parameter, each in root.inputs:
        yield f"{parameter}: {each.address}  {each.digest[:12]}"
    sources = sources_of(root)
    for source in sources:
        files = count(len(source.files), "file")
        yield f"at the far end: {files} of {source.name}, licence “{source.licence}”"
    for gap in gaps_of(root):
        yield f"what {gap.address} was made from is not known: its record is gone"


def _run(manifest: Manifest) -> Iterator[str]:
    made = manifest.provenance
    if "finished" not in made:
        yield "made elsewhere; when and by whom is not known here"
        return
    when = made["finished"][:19].replace("T", " ")
    where = f"{made.get('host', '?')}{', elsewhere' if made.get('is_made_elsewhere') else ''}"
    by = f"lm {made['flow']} {made['experiment']}, run {made['run']}, " if made.get("flow") else ""
    yield f"{by}finished {when} UTC on {where}"
    if git := made.get("git"):
        yield f"at commit {git['commit']}{', with changes that were not committed' if git['dirty'] else ''}"
    for service in ("MLflow", "Prefect"):
        if run := made.get(f"{service.lower()}_run_id"):
            yield f"{service} run {run}"


def _cost(root: Node, manifest: Manifest) -> Iterator[str]:
    made = manifest.provenance
    if "seconds" not in made:
        yield "not known here"
        return
    told = [duration(made["seconds"]), f"{duration(made.get('cpu_seconds', 0.0))} of processor time"]
    if memory := memory_in_words(made.get("peak_memory")):
        told.append(f"{memory} of memory at the peak")
    yield ", ".join(told)
    behind = [node.manifest.provenance for node in ordered(root) if node.manifest and node is not root]
    if known := [each for each in behind if "seconds" in each]:
        seconds = sum(each["seconds"] for each in known)
        processor = sum(each.get("cpu_seconds", 0.0) for each in known)
        what = f"the {count(len(known), 'product')} behind it"
        yield f"and {duration(seconds)}, {duration(processor)} of processor time, for {what}"


def _users(workspace: Workspace, manifest: Manifest) -> Iterator[str]:
    products = list(known_products(workspace))
    readers = [each for each in products if manifest.key in inputs_of(each)]
    readers.sort(key=lambda each: (each.step, each.name))
    for each in readers[:MOST_NAMED]:
        yield f"{each.step} {each.name}: {address_of(workspace, each)}"
    if len(readers) > MOST_NAMED:
        yield f"and {len(readers) - MOST_NAMED} more"
    versions = [*_versions(workspace, _descendants(manifest.key, products))]
    yield f"registered: {', '.join(versions)}" if versions else "no registered model comes from it"
    if not readers:
        yield "nothing else was made from it"


def _descendants(key: str, products: Sequence[Manifest]) -> set[str]:
    """Keys of all that was made from a product, directly or not, and its own."""
    found, size_before = {key}, 0
    while len(found) > size_before:
        size_before = len(found)
        found |= {each.key for each in products if not found.isdisjoint(inputs_of(each))}
    return found


def _versions(workspace: Workspace, keys: set[str]) -> Iterator[str]:
    from tasks.tracking.versions import versions

    for each in versions(workspace.root):
        if each.key in keys:
            aliases = f" ({', '.join(each.aliases)})" if each.aliases else ""
            yield f"{each.name} v{each.version}{aliases}"


def _state(workspace: Workspace, root: Node, manifest: Manifest) -> Iterator[str]:
    proof = prove(workspace, root.address, in_full=True)
    if proof.fault:
        yield f"damaged: {proof.fault}"
    elif proof.manifest is None:
        yield f"gone: nothing lies at {root.address}"
    elif proof.manifest.digest == manifest.digest:
        yield f"intact: every byte of {count(len(proof.manifest.files), 'file')} was hashed just now"
    else:
        other = f"{proof.manifest.digest[:12]}, run {proof.manifest.provenance.get('run', 'unknown')}"
        yield f"replaced: a later version lies at {root.address} now ({other})"
    copies = list(_copies(workspace, manifest))
    yield f"copies in {', '.join(copies)}" if copies else "there is no other copy of it"


def _copies(workspace: Workspace, manifest: Manifest) -> Iterator[str]:
    from tasks.engine.shared import Shared
    from tasks.tracking.versions import find_copy
    from tasks.versioning import has

    noted = Store(workspace).copies(manifest.key)
    if noted and has(workspace.root, noted.dvc):
        yield "DVC's cache"
    if find_copy(workspace.root, manifest.key):
        yield "MLflow's registry"
    if Shared(workspace).entry(manifest.key):
        yield "DVC's remote"
