"""The key of a call: all that may change the bytes of its product, and nothing else."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lmcore.config import Config
from lmcore.lineage import FORMAT, Manifest, digest_of
from lmcore.registry import Part
from tasks.engine.accepted import fingerprint_of
from tasks.engine.artifact import Artifact
from tasks.engine.code import CodeReader
from tasks.engine.step import Step

LIBRARIES = ("torch", "tokenizers", "numpy", "pyarrow", "duckdb", "safetensors")
"""Libraries that make bits: recorded in the manifest and named by the plan, but not part of the key."""

CODE_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Address:
    """Where a call's product belongs, and under which key."""

    key: str
    document: dict[str, Any]
    path: str
    """Relative to the workspace."""


def inputs_of(arguments: Mapping[str, Any]) -> dict[str, Artifact | list[Artifact]]:
    """The artifacts among a call's arguments."""
    return {name: value for name, value in arguments.items() if _is_input(value)}


def flat_inputs(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Artifact]]:
    """(parameter, artifact) pairs, lists opened."""
    for name, value in inputs_of(arguments).items():
        for artifact in [value] if isinstance(value, Artifact) else value:
            yield name, artifact


def key_document(step: Step[Any, Any], arguments: Mapping[str, Any], code: CodeReader) -> dict[str, Any]:
    """What the key is the digest of. Inputs whose bytes are not known yet stand there as None."""
    inputs = inputs_of(arguments)
    left_out = {"name", *step.ignores, *inputs}
    settings = {name: value for name, value in arguments.items() if name not in left_out}
    definitions = code.fingerprint(step.entry, dict(_parts(settings)))
    return {
        "format": FORMAT,
        "step": step.name,
        "settings": settings,
        "inputs": {name: _digests(value) for name, value in inputs.items()},
        "code": definitions,
        "fingerprint": code.accepted.resolve(step.name, fingerprint_of(definitions)),
    }


def key_of(document: Mapping[str, Any]) -> str:
    """The key of a key document, in which code counts by the fingerprint of what it stands for."""
    return digest_of({name: value for name, value in document.items() if name != "code"})


def address_of(step: Step[Any, Any], name: str, document: dict[str, Any]) -> Address:
    """Data lies under its name, everything else under its key."""
    key = key_of(document)
    last = name if step.makes.is_data() else f"{step.name}-{key[:12]}"
    return Address(key, document, f"{step.makes.home}/{last}")


@cache
def environment() -> dict[str, str]:
    """Library versions and the kind of processor, for manifests."""
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    from lmcore.runtime import cpu_kind

    return {"python": platform.python_version(), "cpu": cpu_kind(), **versions}


def drifted(manifest: Manifest) -> str | None:
    """What of the libraries that make bits is another version now."""
    now = environment()
    changes = [
        f"made with {name} {was}, now {now[name]}"
        for name, was in manifest.environment.items()
        if name in now and name != "python" and now[name] != was
    ]
    return "; ".join(changes) or None


def artifact_of(step: Step[Any, Any], name: str, address: Address, manifest: Manifest) -> Artifact:
    made: Artifact = step.makes(address.path, name, manifest.digest, manifest.key, manifest.size)
    return made


def _is_input(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(item, Artifact) for item in value)
    return isinstance(value, Artifact)


def _digests(value: Artifact | list[Artifact]) -> Any:
    return value.digest if isinstance(value, Artifact) else [item.digest for item in value]


def _parts(value: Any) -> Iterator[tuple[str, Path | None]]:
    """Modules of the parts that settings name, with their file where a workspace ships it."""
    if isinstance(value, Part):
        yield value.registry.module_of(value.type), value.registry.file_of(value.type)
    if isinstance(value, Config):
        for _, inner in value:
            yield from _parts(inner)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _parts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _parts(inner)
