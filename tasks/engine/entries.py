"""Settings by name that the user chooses, such as the ways to finetune: added, changed and taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_origin

from pydantic import BaseModel

from lmcore.config import SettingsError, did_you_mean


def without_nulls(kind: type[BaseModel], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without entries that are null: so an experiment drops some of what it extends."""
    kept = dict(settings)
    for name, field in kind.model_fields.items():
        given = kept.get(name)
        if not isinstance(given, Mapping):
            continue
        if _has_entries(field.annotation):
            kept[name] = {entry: value for entry, value in given.items() if value is not None}
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            kept[name] = without_nulls(field.annotation, given)
    return kept


def check_entries(kind: type[BaseModel], settings: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Refuse `finetune.ful.epochs=2` where there is no `ful`: it is rather a slip than a new way to finetune.

    Raises:
        SettingsError: with the likeliest entry that was meant, and how one is added.
    """
    for override in overrides:
        path = override.partition("=")[0]
        _check(kind, settings, path.split("."), path)


def _check(kind: type[BaseModel], settings: Any, parts: Sequence[str], path: str) -> None:
    field = kind.model_fields.get(parts[0])
    inside = settings.get(parts[0]) if isinstance(settings, Mapping) else None
    if field is None or len(parts) < 2:
        return
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
        _check(field.annotation, inside, parts[1:], path)
    elif _has_entries(field.annotation) and len(parts) > 2:
        known = inside if isinstance(inside, Mapping) else field.get_default(call_default_factory=True)
        if parts[1] not in known:
            where = path.removesuffix("." + ".".join(parts[1:]))
            raise SettingsError(
                f"'{path}': there is no '{parts[1]}' in '{where}'.{did_you_mean(parts[1], known)}; to add "
                f"one, write {where}.{parts[1]}={{...}}"
            )


def _has_entries(annotation: Any) -> bool:
    return get_origin(annotation) is dict
