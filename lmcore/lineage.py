"""What a product is made of: content digests, and the manifest that tells how it came to be.

A product is a folder with a `manifest.json`, in which nothing depends on the clock: made again, it has the
same bytes. Its digest covers the names and bytes of the product's files. The manifest is sealed by a digest
of its own, so a changed byte in it is noticed like a changed byte anywhere else.

What the clock wrote lies beside: `provenance.json` (when, how long, by which runs) and `log/`. Both belong to
the product without being part of it: lost or spoilt they are no damage, only unknown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from lmcore.config import Config, canonical

MANIFEST = "manifest.json"
PROVENANCE = "provenance.json"
LOG = "log"
FORMAT = 2

Facts = Mapping[str, int | float | str]
"""What a step says of its product in numbers and words: documents, tokens, losses."""


_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


class Damaged(ValueError):
    """A product whose bytes are not those of its manifest."""


class FileEntry(Config):
    """One file of a product."""

    size: int
    sha256: str


class Manifest(Config):
    """How a product came to be: enough to explain it, to prove it and to find what it was made from."""

    format: int = FORMAT
    step: str
    name: str
    key: str
    """Digest of `key_document`: what the product is looked up by."""
    key_document: dict[str, Any]
    """Settings, input digests, code and resolved environment: all that may change the bytes."""
    digest: str
    """Digest of the content, see `content_digest`."""
    files: dict[str, FileEntry]
    inputs: dict[str, Any]
    """Addresses of what it was made from, parameter by parameter."""
    facts: dict[str, int | float | str]
    environment: dict[str, str]
    """Library versions and the kind of processor."""
    provenance: dict[str, Any] = Field(default_factory=dict)
    """When, how long, at what cost, by which runs and from which commit; empty where that is not known."""

    @property
    def seal(self) -> str:
        """Digest of all but the provenance: what a provenance names to say which product it tells of."""
        return digest_of(self.document())

    def document(self) -> dict[str, Any]:
        """All but the provenance, in plain JSON types."""
        return {name: value for name, value in canonical(self).items() if name != "provenance"}

    def without_provenance(self) -> Manifest:
        """The same product, of which nobody knows when and by whom it was made."""
        return self.model_copy(update={"provenance": {}})

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files.values())


def canonical_json(value: Any) -> str:
    """The one spelling of a value: sorted names, no spaces, plain JSON types."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, as 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def list_product(folder: Path) -> list[str]:
    """The files of a product as sorted relative POSIX paths, without manifest, provenance and `log/`."""
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    beside = (MANIFEST, PROVENANCE)
    return sorted(name for name in files if name not in beside and not name.startswith(f"{LOG}/"))


def content_digest(files: Mapping[str, str] | Iterable[tuple[str, str]]) -> str:
    """Digest of (relative path, SHA-256) pairs."""
    return digest_of(dict(files))


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the provenance, then the manifest; whoever calls this has written everything else before."""
    write_provenance(manifest, folder)
    (folder / MANIFEST).write_bytes(seal_document(manifest.document()))


def write_provenance(manifest: Manifest, folder: Path) -> None:
    """Write beside a manifest what is known of when and how the product was made."""
    if manifest.provenance:
        document = {"of": manifest.seal, "provenance": canonical(manifest.provenance)}
        (folder / PROVENANCE).write_bytes(seal_document(document))
    else:
        (folder / PROVENANCE).unlink(missing_ok=True)


def seal_document(document: Mapping[str, Any]) -> bytes:
    """The one way that a document is written, so that every byte of it is under its seal."""
    sealed = {**document, "seal": digest_of(document)}
    return (json.dumps(sealed, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def unseal_document(text: bytes) -> dict[str, Any]:
    """What was sealed.

    Raises:
        Damaged: a byte of it has changed since, or it was never sealed here.
    """
    try:
        document: dict[str, Any] = json.loads(text)
        del document["seal"]
        if seal_document(document) == text:
            return document
    except _UNREADABLE as error:
        raise Damaged("it does not read as a sealed document") from error
    raise Damaged("it was changed after it was sealed")


def read_manifest(folder: Path) -> Manifest:
    """Read a product's manifest, with its provenance where that is known.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it does not parse, or its seal does not match.
    """
    text = (folder / MANIFEST).read_bytes()
    try:
        manifest = manifest_of(unseal_document(text))
    except Damaged as error:
        raise Damaged(f"{folder / MANIFEST} is damaged: {error}") from error
    return manifest.model_copy(update={"provenance": _read_provenance(folder, manifest)})


def manifest_of(document: Mapping[str, Any]) -> Manifest:
    """The manifest that a document spells out.

    Raises:
        Damaged: it spells out something else.
    """
    try:
        if "provenance" not in document:
            return Manifest(**document)
    except _UNREADABLE as error:
        raise Damaged("it does not read as a manifest") from error
    raise Damaged("it holds a provenance, which is kept apart")


def _read_provenance(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """What the file beside a manifest says, if it tells of this product; a spoilt one says nothing."""
    try:
        document = unseal_document((folder / PROVENANCE).read_bytes())
    except (OSError, Damaged):
        return {}
    known = document.get("provenance") if document.get("of") == manifest.seal else None
    return known if isinstance(known, dict) else {}
