"""Copies of products, in their places and in DVC's cache, and what they keep of the words of a file."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lmcore.lineage import MANIFEST, Manifest
from tasks.engine.workspace import Workspace
from tasks.forgetting.subject import Subject
from tasks.versioning.objects import VersioningError, entries_of, object_path
from tasks.versioning.unneeded import objects

Listing = dict[str, str]
"""Path -> md5 of a version's files."""
Files = dict[str, Path]
"""Name in a product -> where its bytes lie."""
SIDES = ("train", "validation", "test")


def listing_of(root: Path, name: str) -> Listing:
    """The files of a version; empty where its listing is damaged."""
    with suppress(VersioningError):
        return dict(entries_of(root, name))
    return {}


def made_by(root: Path, listing: Listing) -> tuple[str, str]:
    """Key and step of a version, by the manifest in it; empty if it does not say."""
    try:
        made = json.loads(object_path(root, listing[MANIFEST]).read_bytes())
        return made["key"], made["step"]
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""


def copies_of(
    workspace: Workspace, keys: Collection[str], places: Mapping[Path, Manifest]
) -> Iterator[Files]:
    """Every copy of products with these keys; of some of their files there may be none any more.

    Args:
        places: products in their places.
    """
    for folder, made in places.items():
        if made.key in keys:
            yield {name: folder / name for name in made.files}
    for name in objects(workspace.root):
        if name.endswith(".dir"):
            listing = listing_of(workspace.root, name)
            if made_by(workspace.root, listing)[0] in keys:
                yield {file: object_path(workspace.root, md5) for file, md5 in listing.items()}


def texts_kept(files: Files, subject: Subject) -> Iterator[str]:
    """What a file said when a product read it, as far as that product has kept it."""
    for name in ("documents.parquet", "rejected.parquet"):
        if name in files:
            yield from _texts_in(files[name], subject)
    for side in SIDES:
        for record in records_of(files, side, subject):
            yield from (message["content"] for message in record["messages"])


def records_of(files: Files, side: str, subject: Subject) -> Iterator[dict[str, Any]]:
    """The conversations of a side that come from a file: its own, or made from a document of it."""
    try:
        lines = files[f"{side}.jsonl"].read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
    except (KeyError, OSError, ValueError):  # it holds none, or is damaged: others say so
        return
    documents = {f"{place.source}/{place.file}" for place in subject.places}
    names = {Path(place.file).name for place in subject.places}
    for record in records:
        is_own = record.get("document") == record.get("id")
        origin = record.get("source") if is_own else str(record.get("document")).rpartition("#")[0]
        if origin in (names if is_own else documents):
            yield record


def _texts_in(table: Path, subject: Subject) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(table, columns=["source", "file", "text"]).to_pylist()
    except (OSError, pa.ArrowException):
        return
    yield from (row["text"] for row in rows if subject.is_named(row["source"], row["file"]))
