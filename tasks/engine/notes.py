"""Small notes under `.lm/` that speed things up or explain plans: which of them nobody needs any more."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

from lmcore.lineage import MANIFEST, list_product
from tasks.engine.leftovers import half_written
from tasks.engine.proof import memory_of
from tasks.engine.reach import RUN_HOMES, Reach, product_folders


def unneeded_notes(reach: Reach, gone: AbstractSet[Path]) -> Iterator[tuple[Path, str]]:
    """Notes that can go with the folders that are gone, or that a dry run says would go, and why."""
    yield from ((path, "a killed run left it") for path in half_written(reach.workspace))
    yield from ((path, "of a product that is gone") for path in _notes_of_products(reach))
    for path in _other_notes(reach, gone):
        if path.is_file() and path.stat().st_mtime < reach.since:
            yield path, "old"


def _notes_of_products(reach: Reach) -> Iterator[Path]:
    private, keys = reach.workspace.private, reach.keys
    for folder in ("manifests", "copies", "records"):
        for path in sorted((private / folder).glob("[!.]*.json")):
            key = path.stem.rpartition("-")[2]
            if key not in keys and not reach.is_recent(key):
                yield path
    for path in sorted((private / "last").glob("[!.]*@*")):
        if path.read_text(errors="replace").strip() not in keys:
            yield path


def _other_notes(reach: Reach, gone: AbstractSet[Path]) -> Iterator[Path]:
    """Digests of folders that are gone, ledgers that no version names, errors, probes, answers of remotes."""
    private = reach.workspace.private
    proved = {memory_of(reach.workspace, folder) for folder in _proved_folders(reach) if folder not in gone}
    yield from (path for path in sorted((private / "proofs").glob("*.json")) if path not in proved)
    ledgers = _ledgers(reach)
    yield from (path for path in sorted((private / "carried").glob("*")) if path.name not in ledgers)
    yield from sorted((private / "errors").glob("*.txt"))
    yield from sorted((private / "probes").glob("*.json"))
    yield from sorted((private / "remote").glob("*/*"))


def _proved_folders(reach: Reach) -> Iterator[Path]:
    """Folders of which digests are remembered: products, copies in the registry, sources."""
    from tasks.tracking.versions import versions

    yield from product_folders(reach.workspace)
    yield from (version.folder for version in versions(reach.workspace.root))
    sources = reach.workspace.sources
    yield from (sources, *(path for path in sources.glob("**/*") if path.is_dir()))


def _ledgers(reach: Reach) -> set[str]:
    """Names of the ledgers that some version started from or hands on, and of the lines that say so."""
    lines = list((reach.workspace.private / "carried").glob("*@*.json"))
    named = {word for line in lines for word in line.read_text(errors="replace").split('"')}
    for manifest in reach.remembered.values():
        named.add(str(manifest.key_document.get("carried")))
        named.update(entry.sha256 for entry in manifest.files.values())
    return named | {line.name for line in lines}


def kept_versions(reach: Reach) -> Iterator[str]:
    """Names in DVC's cache of all versions that are kept."""
    from tasks.versioning.unneeded import version_of

    for note in (reach.workspace.private / "copies").glob("[!.]*.json"):
        copies = reach.store.copies(note.stem)
        if copies and (note.stem in reach.keys or reach.is_recent(note.stem)):
            yield copies.dvc
    for folder, manifest in reach.products.items():
        if folder.parent.name not in RUN_HOMES and reach.store.copies(manifest.key) is None:
            with suppress(OSError):  # a file is missing: then it is no version
                yield version_of(folder, [MANIFEST, *list_product(folder)])
