"""python -m tasks.executed OUT MODULE ARGUMENT ...: run a module as `python -m` does, and note what code ran.

A replay of a training proves only what it runs. OUT, a JSON file, says which definitions that was.
"""

from __future__ import annotations

import inspect
import json
import runpy
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

PACKAGE = "lmcore"


@dataclass(frozen=True)
class Executed:
    """What ran, of the package that computes."""

    ran: frozenset[str]
    """Functions, and classes of which a method ran, as `module:name`."""
    idle: frozenset[str]
    """Functions and classes with methods of their own of which nothing ran."""
    modules: frozenset[str]
    """Modules that were imported."""
    names: frozenset[str]
    """Names that the code which ran makes use of."""

    def misses(self, definition: str) -> bool:
        """Whether nothing of a definition, `module:name`, had a part in what ran."""
        module, _, name = definition.partition(":")
        if module.partition(".")[0] != PACKAGE:  # not run here, but by whoever started this
            return False
        if module not in self.modules:
            return True
        is_constant = bool(name) and definition not in self.ran and definition not in self.idle
        return definition in self.idle or (is_constant and name not in self.names)


def read_executed(file: Path) -> Executed:
    """What was noted in a file."""
    document: Mapping[str, Iterable[str]] = json.loads(file.read_text())
    return Executed(**{part: frozenset(names) for part, names in document.items()})


def main(out: str, module: str, *arguments: str) -> None:
    """Run the module; the note is written however it ends."""
    codes: dict[CodeType, str] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code not in codes:
            codes[frame.f_code] = str(frame.f_globals.get("__name__"))

    sys.argv = [module, *arguments]
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sys.setprofile(None)
        Path(out).write_text(json.dumps(_summary(dict(codes)), sort_keys=True))


def _summary(codes: Mapping[CodeType, str]) -> dict[str, list[str]]:
    # Modules and classes are "called" as well, once, when they are defined; functions alone are optimised.
    functions = {code: module for code, module in codes.items() if code.co_flags & inspect.CO_OPTIMIZED}
    ours = {code: module for code, module in functions.items() if module.partition(".")[0] == PACKAGE}
    ran = {f"{module}:{code.co_qualname.partition('.')[0]}" for code, module in ours.items()}
    modules = sorted(name for name in sys.modules if name.partition(".")[0] == PACKAGE)
    callables = {f"{module}:{name}" for module in modules for name in _callables(module)}
    names = {name for code in ours for name in code.co_names}
    parts = {"ran": ran, "idle": callables - ran, "modules": modules, "names": names}
    return {part: sorted(found) for part, found in parts.items()}


def _callables(module: str) -> Iterable[str]:
    for name, value in vars(sys.modules[module]).items():
        if getattr(value, "__module__", None) == module:
            methods = vars(value).values() if inspect.isclass(value) else (value,)
            # What `dataclass` writes into a class has other names.
            if any(_written_in(each).partition(".")[0] == name for each in methods):
                yield name


def _written_in(value: Any) -> str:
    """The qualified name under which a function, or what wraps one, was written."""
    for part in ("__func__", "fget", "func"):
        value = getattr(value, part, value)
    code = getattr(inspect.unwrap(value) if callable(value) else value, "__code__", None)
    return str(code.co_qualname) if code else ""


if __name__ == "__main__":
    main(*sys.argv[1:])
