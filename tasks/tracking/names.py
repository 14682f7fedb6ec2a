"""MLflow's rules for names: what it would refuse is replaced, so that a setting's name never stops a run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

LONGEST = 250
ILLEGAL = re.compile(r"[^\w\-. :/]")


def legal_name(name: str) -> str:
    """A name of a metric, parameter or tag that MLflow takes: other letters become `_`, paths are plain."""
    parts = [part for part in ILLEGAL.sub("_", str(name)).split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[:LONGEST] or "_"


def model_name(name: str) -> str:
    """A LoggedModel's name: MLflow allows no `/ : . % " '` in it."""
    return "".join("-" if letter in "/:.%\"'" else letter for letter in name)


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """`{"model": {"width": 8}}` as `{"model.width": "8"}`; lists of plain values stay one value."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        full = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{full}."))
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            flat.update(flatten({str(index): item for index, item in enumerate(value)}, f"{full}."))
        else:
            flat[legal_name(full)] = str(value)
    return flat
