"""The form of a flow on Prefect's pages: one flat pydantic model, and the command line that it stands for.

The experiment is a choice among those that the flow can run. Main dials follow, each with the type, the
bounds and the words of the setting that it turns; a dial that is left empty stays as the experiment has it.
All other settings go through `overrides`, as on the command line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import SkipJsonSchema

from lmcore.config import Config, SettingsError, explain
from tasks.engine.experiment import Experiment

SIMPLE = (int, float, str)
"""What a dial may be. Not `bool`: a switch that nobody touched cannot be told from one that is off."""


@dataclass(frozen=True)
class Request:
    """What somebody asked for with a form, in the words of the command line."""

    experiment: str
    overrides: tuple[str, ...] = ()
    force: tuple[str, ...] = ()

    def command(self, flow: str) -> str:
        """`lm pretrain tiny train.steps=100 --force write_shards`."""
        forced = [f"--force {step}" for step in self.force]
        return " ".join(["lm", flow, self.experiment, *self.overrides, *forced])


@dataclass(frozen=True)
class Form:
    """What a flow asks for before it runs."""

    kind: type[Experiment]
    """The flow's class of experiments."""
    dials: tuple[str, ...]
    """Paths of settings of that class, such as `train.steps`."""
    experiments: tuple[str, ...]
    """What to choose from; at least one."""

    @cached_property
    def model(self) -> type[Config]:
        """The form as a flat settings class."""
        choice: Any = Literal[self.experiments]
        said = "What to run: a file under experiments/. Whatever is left empty below stays as it says there."
        fields: dict[str, Any] = {"experiment": (choice, Field(description=said))}
        for path in self.dials:
            fields[name_of(path)] = _dial(path, _find(self.kind, path))
        fields["overrides"] = (
            tuple[str, ...],
            Field((), description="Any other settings, each written as setting=value, such as split.seed=1."),
        )
        fields["force"] = (
            tuple[str, ...],
            Field((), description="Steps to make again though nothing changed, such as clean_documents."),
        )
        return create_model(f"{self.kind.__name__}Form", __base__=Config, **fields)

    def schema(self) -> dict[str, Any]:
        """The form as the JSON schema that Prefect draws and enforces."""
        schema = self.model.model_json_schema()
        titles = {name_of(path): path for path in self.dials}
        for position, (name, entry) in enumerate(schema["properties"].items()):
            entry |= {"title": titles.get(name, name), "position": position}
            if entry.get("default", 0) is None:  # empty, and not "nothing"
                del entry["default"]
            if "const" in entry:  # a choice of one
                entry["enum"] = [entry.pop("const")]
        return {
            "title": "Parameters",
            "type": "object",
            "properties": schema["properties"],
            "required": ["experiment"],
            "definitions": {},
        }

    def request(self, filled_in: Mapping[str, Any]) -> Request:
        """What a filled-in form asks for.

        Raises:
            SettingsError: a value is none that the form takes.
        """
        try:
            form: Any = self.model(**filled_in)
        except ValidationError as error:
            raise SettingsError(explain(error, self.model)) from None
        turned = [(path, getattr(form, name_of(path))) for path in self.dials]
        told = [f"{path}={_text(value)}" for path, value in turned if value is not None]
        return Request(form.experiment, (*told, *form.overrides), form.force)


def name_of(path: str) -> str:
    """What a dial is called where dots are not allowed: `train_steps`."""
    return path.replace(".", "_")


def _find(kind: type[Experiment], path: str) -> FieldInfo:
    fields: Mapping[str, FieldInfo] = kind.model_fields
    *parts, last = path.split(".")
    for part in parts:
        fields = getattr(fields[part].annotation, "model_fields", {}) if part in fields else {}
    if last not in fields:
        raise SettingsError(f"the form of {kind.__name__} has a dial '{path}', which is no setting")
    return fields[last]


def _dial(path: str, field: FieldInfo) -> tuple[Any, Any]:
    """An optional field with the type, the bounds and the words of a setting."""
    plain = _without_none(field.annotation)
    if plain not in SIMPLE and get_origin(plain) is not Literal:
        raise SettingsError(f"'{path}' cannot be a dial: {plain} is no number, text or choice")
    bounded: Any = Annotated[plain, *field.metadata] if field.metadata else plain
    words = " ".join((field.description or "").split())
    optional: Any = bounded | SkipJsonSchema[None]  # type: ignore[misc]
    return optional, Field(None, description=words)


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    rest = [each for each in get_args(annotation) if each is not NoneType]
    return rest[0] if len(rest) == 1 else annotation


def _text(value: Any) -> str:
    """A value as it is typed behind `setting=`, so that YAML reads it as what it is."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if not isinstance(value, str) or yaml.safe_load(text) == value else json.dumps(value)
