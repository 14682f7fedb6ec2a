"""Addresses that steps hand on: where a product lies and what its bytes are, never the bytes themselves."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Self

_kinds: dict[str, type[Artifact]] = {}


@dataclass(frozen=True)
class Artifact:
    """A product's address. `digest` is None while a plan cannot know the bytes yet."""

    home: ClassVar[str]
    """Folder of all artifacts of this kind. Those under `data/` lie at a fixed path, one version at a time;
    others carry their key in their name and are never overwritten."""

    address: str
    """Relative to the workspace."""
    name: str
    digest: str | None
    key: str | None = None
    size: int | None = None
    """Bytes; in a plan, a guess."""

    def __init_subclass__(cls) -> None:
        _kinds[cls.__name__] = cls

    @classmethod
    def is_data(cls) -> bool:
        return cls.home.startswith("data/")

    def to_json(self) -> dict[str, Any]:
        return {"artifact": type(self).__name__, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        fields = dict(document)
        kind = _kinds[fields.pop("artifact")]
        assert issubclass(kind, cls)
        return kind(**fields)


def is_artifact_json(value: object) -> bool:
    return isinstance(value, dict) and "artifact" in value
