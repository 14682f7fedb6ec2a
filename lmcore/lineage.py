"""What a product is made of: content digests, and the manifest that tells how it came to be.

A product is a folder with a `manifest.json`. Its digest covers the names and bytes of its files, except
the manifest itself and `log/`, which holds what the clock wrote. The manifest is sealed by a digest of its
own, so a changed byte in it is noticed like a changed byte anywhere else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lmcore.config import Config, canonical

MANIFEST = "manifest.json"
LOG = "log"
FORMAT = 1

Facts = Mapping[str, int | float | str]
"""What a step says of its product in numbers and words: documents, tokens, losses."""


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
    provenance: dict[str, Any]
    """When, how long, at what cost, by which runs and from which commit."""

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
    """The files of a product as sorted relative POSIX paths, without the manifest."""
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in files if name != MANIFEST)


def content_digest(files: Mapping[str, str] | Iterable[tuple[str, str]]) -> str:
    """Digest of (relative path, SHA-256) pairs; what lies under `log/` does not count."""
    pairs = dict(files)
    return digest_of({name: sha for name, sha in pairs.items() if not name.startswith(f"{LOG}/")})


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest with its seal; whoever calls this has written everything else before."""
    document = canonical(manifest)
    document["seal"] = digest_of(document)
    (folder / MANIFEST).write_bytes(_spell(document))


def _spell(document: Mapping[str, Any]) -> bytes:
    """The one way that a manifest is written, so that every byte of it is under the seal."""
    return (json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def read_manifest(folder: Path) -> Manifest:
    """Read a product's manifest.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it does not parse, or its seal does not match.
    """
    text = (folder / MANIFEST).read_bytes()
    try:
        document = json.loads(text)
        is_sealed = text == _spell(document) and document.pop("seal") == digest_of(document)
        if not is_sealed:
            raise Damaged(f"{folder / MANIFEST} was changed after it was sealed")
        return Manifest(**document)
    except Damaged:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Damaged(f"{folder / MANIFEST} does not read as a manifest") from error
