"""The one settings system: frozen pydantic models in which an unknown key is an error.

Settings classes live in a `settings.py` beside what they set and import pydantic only, so that
a plan never waits for torch.
"""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Iterable, Mapping
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

PLAIN_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""What may be part of the name of a file."""
_LONGEST = 80
_PLAIN = {
    "tuple_type": "expected a list, such as [a, b]",
    "dict_type": "expected settings by name, such as {name: value}",
    "model_type": "expected settings by name, such as {name: value}",
}
"""What pydantic says in Python's words, by its type of error."""


class SettingsError(ValueError):
    """A user's mistake in the settings, told in one line: what came, what was expected, the cure."""


class Config(BaseModel):
    """Base of all settings: immutable, strict about names, with docstrings as descriptions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
    )

    def resolved(self) -> Self:
        """The same settings with every `auto` replaced by what this machine makes of it.

        The default resolves nested settings; a class with an `auto` of its own overrides this.
        """
        before = {name: getattr(self, name) for name in type(self).model_fields}
        changes = {name: now for name, value in before.items() if (now := _resolved(value)) is not value}
        return self.model_copy(update=changes) if changes else self


def _resolved(value: Any) -> Any:
    """The very same object where nothing in it says `auto`."""
    if isinstance(value, Config):
        return value.resolved()
    if isinstance(value, tuple | list):
        items = [_resolved(item) for item in value]
        return value if all(map(operator.is_, items, value)) else type(value)(items)
    if isinstance(value, dict):
        entries = {name: _resolved(item) for name, item in value.items()}
        return value if all(map(operator.is_, entries.values(), value.values())) else entries
    return value


def canonical(value: Any) -> Any:
    """Reduce a value to plain JSON types, the same on every machine.

    Raises:
        TypeError: the value has no canonical form (a set, a function, a NaN, ...). There is no
            fallback to `repr`: a key that holds a memory address would never be hit again.
    """
    match value:
        case Config():
            return {name: canonical(item) for name, item in value}
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case Mapping() if all(isinstance(name, str) for name in value):
            return {name: canonical(item) for name, item in value.items()}
        case list() | tuple():
            return [canonical(item) for item in value]
    raise TypeError(f"{value!r} ({type(value).__name__}) has no canonical form to make a key of")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'width'? Known: depth, width`, ready to stand behind an error."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return (f" Did you mean '{near[0]}'?" if near else "") + f" Known: {', '.join(names) or 'none'}"


def explain(error: ValidationError, settings: type[BaseModel]) -> str:
    """Turn pydantic's first complaint into one line with the path, the value and the cure."""
    # A wrong name first: it may be why another one is missing.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    path = ".".join(str(part) for part in first["loc"] if part != "[key]") or "settings"
    if first["type"] == "extra_forbidden":
        known = _known(settings, first["loc"])
        return f"unknown setting '{path}'.{did_you_mean(str(first['loc'][-1]), known)}"
    if first["type"] == "missing":
        return f"'{path}' is missing: {_describe(settings, first['loc'])}"
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"'{path}': {message}" if first["loc"] else message
    if first["type"] == "too_short":
        message = f"expected at least {first['ctx']['min_length']} of them"
    message = _PLAIN.get(first["type"], message)
    if first.get("ctx", {}).get("pattern") == PLAIN_NAME:
        message = "expected a name of letters, digits, '.', '-' and '_' that begins with a letter or digit"
    came = repr(first["input"])
    came = came if len(came) <= _LONGEST else came[: _LONGEST - 3] + "..."
    return f"'{path}' is {came}; {message[:1].lower()}{message[1:]}"


def _known(settings: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The field names that were possible where an unknown one stood."""
    here: Any = settings
    for part in path[:-1]:
        field = _fields(here).get(part)
        here = field.annotation if field else here
    return list(_fields(here))


def _fields(annotation: Any) -> Mapping[Any, FieldInfo]:
    """The fields of a settings class, also of one inside `tuple[...]`, `... | None` and the like."""
    if fields := getattr(annotation, "model_fields", None):
        return dict(fields)
    return next((fields for each in get_args(annotation) if (fields := _fields(each))), {})


def _describe(settings: type[BaseModel], path: tuple[int | str, ...]) -> str:
    here: Any = settings
    field = None
    for part in path:
        field = _fields(here).get(part)
        here = field.annotation if field else here
    return (field.description if field and field.description else "it has no default").strip()
