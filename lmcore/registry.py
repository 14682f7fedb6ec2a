"""A plural folder is a registry: adding a part is adding one file to it.

    filters = Registry[Filter]("filter", "lmcore.corpus.filters")      # in the folder's __init__.py

    @filters.register                                                   # in filters/length.py
    def length(text: str, *, min_words: int = 50) -> str | None: ...

The part's name is its file's name, and its keyword-only parameters are its settings. A look-up imports
that one file and no other. A workspace adds parts of its own under `parts/<folder>/<name>.py`.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import ConfigDict, ValidationError, create_model, model_validator

from lmcore.config import Config, did_you_mean, explain

T = TypeVar("T", bound=Callable[..., Any])

workspace_parts: list[Path] = []
"""Folders `parts/` of workspaces; whoever opens a workspace adds its own."""


class Registry(Generic[T]):
    """The parts of one kind, found by name, imported only when asked for."""

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._parts: dict[str, T] = {}

    def register(self, part: T) -> T:
        """Decorate the one part of a file; its name is the file's."""
        self._parts[part.__module__.rpartition(".")[2]] = part
        return part

    def __getitem__(self, name: str) -> T:
        """The part of that name.

        Raises:
            ValueError: no file of that name, or the file registers nothing.
        """
        if name not in self._parts:
            self._load(name)
        if name not in self._parts:
            raise ValueError(f"{self.module_of(name)} registers no {self.kind}: decorate it with .register")
        return self._parts[name]

    def names(self) -> list[str]:
        """Every name that can be asked for, without importing any."""
        package = importlib.import_module(self.package)
        shipped = {module.name for module in pkgutil.iter_modules(package.__path__)}
        own = {file.stem for folder in self._folders() for file in folder.glob("*.py")}
        return sorted(name for name in shipped | own if not name.startswith("_"))

    def module_of(self, name: str) -> str:
        """The dotted name of the module that holds the part."""
        return f"{self.package}.{name}"

    def file_of(self, name: str) -> Path | None:
        """The part's file, when a workspace ships it; None for the parts of the package."""
        return next((path for folder in self._folders() if (path := folder / f"{name}.py").is_file()), None)

    def _folders(self) -> list[Path]:
        plural = self.package.rpartition(".")[2]
        return [parts / plural for parts in workspace_parts]

    def _load(self, name: str) -> None:
        if name not in self.names():
            raise ValueError(f"no {self.kind} named '{name}'.{did_you_mean(str(name), self.names())}")
        module_name, file = self.module_of(name), self.file_of(name)
        if file is None:
            importlib.import_module(module_name)
            return
        spec = importlib.util.spec_from_file_location(module_name, file)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[module_name]
            raise


class Part(Config):
    """A part chosen in settings: `{type: length, min_words: 50}`, or just its name.

    A subclass names the registry. The dials that were left out are filled in from the part's signature,
    so that a key holds every value that counts.
    """

    model_config = ConfigDict(extra="allow")
    registry: ClassVar[Registry[Any]]
    type: str

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        if not isinstance(given, str | Mapping | Part):
            raise ValueError(f"{given!r} is no {cls.registry.kind}; write its name, or a type with its dials")
        given = {"type": given} if isinstance(given, str) else dict(given)
        if "type" not in given:
            raise ValueError(f"a {cls.registry.kind} needs a type.{did_you_mean('', cls.registry.names())}")
        name = given.pop("type")
        dials = dials_of(cls.registry[name], name)
        try:
            return {"type": name, **dials.model_validate(given).model_dump()}
        except ValidationError as error:
            raise ValueError(f"{cls.registry.kind} '{name}': {explain(error, dials)}") from None

    @property
    def dials(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    def build(self) -> Callable[..., Any]:
        """The part with its dials set."""
        return partial(self.registry[self.type], **self.dials)


class _Dials(Config):
    """Made of a signature: there is no source text whose docstrings could be looked for."""

    model_config = ConfigDict(use_attribute_docstrings=False)


@cache
def dials_of(part: Callable[..., Any], name: str) -> type[Config]:
    """A settings class made of a part's keyword-only parameters."""
    parameters = inspect.signature(part, eval_str=True).parameters.values()
    fields: dict[str, Any] = {
        p.name: (p.annotation, ... if p.default is p.empty else p.default)
        for p in parameters
        if p.kind is p.KEYWORD_ONLY
    }
    return create_model(name, __base__=_Dials, **fields)
