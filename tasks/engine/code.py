"""The code fingerprint: which definitions a step reaches, and a hash of each.

A static walk from the step's function through the names that it uses in first-party modules, plus the
parts that its settings name (a registry look-up is invisible to a walk), functions named in strings as
`package.module:function` (what a subprocess runs) and files beside a module that it names (templates).
Docstrings, comments, layout and unrelated definitions do not count; plumbing stays out by the list below.
How a function is annotated does not count either, but the classes that its annotations name are reached:
their methods are called through its arguments. In a `settings.py` the fields and validators of a class
stay out too: their values are in the key already.

Nothing is imported. Facts about a file are kept under the SHA-256 of its bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from tasks.engine import syntax
from tasks.engine.accepted import Accepted
from tasks.engine.syntax import Definition, ModuleFacts, read_module

PACKAGES = ("lmcore", "tasks")
PLUMBING = (
    "lmcore.config",
    "lmcore.lineage",
    "lmcore.registry",
    "lmcore.runtime",
    "tasks.artifacts",
    "tasks.card",
    "tasks.costs",
    "tasks.engine",
    "tasks.lineage.page",
    "tasks.pretrain:Watch",
    "tasks.report",
    "tasks.subprocesses",
    "tasks.tracking",
    "tasks.versioning",
)
"""Modules and definitions that carry work but do not shape its bytes."""

_RULES = hashlib.sha256(Path(__file__).read_bytes() + Path(syntax.__file__).read_bytes()).hexdigest()
"""Facts are of no use to a walk by other rules."""
_MOST_FACTS = 2_000


class CodeReader:
    """Reads modules below `root` (the folder that holds the packages), remembering facts by content.

    Safe to ask from several threads.
    """

    def __init__(self, root: Path, memory: Path | None = None, accepted: Accepted | None = None) -> None:
        self.root = root
        self.accepted = accepted or Accepted()
        self.memory = memory
        self._modules: dict[str, ModuleFacts | None] = {}
        self._extra: dict[str, Path] = {}
        self._led_to: dict[str, list[str]] = {}
        """Where the names in a definition lead, for those that were passed."""
        self._used: set[str] = set()
        self._learned = False
        self._lock = threading.Lock()

    def fingerprint(self, function: str, parts: Mapping[str, Path | None] | None = None) -> dict[str, str]:
        """`module:name` -> hash for all that `module:function` reaches, and for every part's file.

        Args:
            function: where the walk starts, as `module:name`.
            parts: modules that settings name, with their file where it lies outside the packages.

        Raises:
            ValueError: a part, or a function named in a string, is not to be found: a key without it would
                not notice its changes.
        """
        with self._lock:
            waiting = [function, *self._definitions_of(parts or {})]
            reached = self._walk(waiting)
            self._remember()
        return dict(sorted(reached.items()))

    def _definitions_of(self, parts: Mapping[str, Path | None]) -> Iterable[str]:
        for part, path in parts.items():
            if path:
                self._extra[part] = path
                self._modules.pop(part, None)
                self._led_to.clear()
            facts = self._read(part)
            if facts is None:
                raise ValueError(f"the code of {part} is not to be found: its changes would go unnoticed")
            yield from (f"{part}:{name}" for name in facts.definitions)

    def _walk(self, waiting: list[str]) -> dict[str, str]:
        reached: dict[str, str] = {}
        while waiting:
            here = waiting.pop()
            module, _, name = here.partition(":")
            if here in reached or _is_plumbing(module, here):
                continue
            definition = self._definition(module, name)
            if definition is None:
                continue
            reached[here] = definition.hash
            if here not in self._led_to:  # many steps pass by the same definitions
                self._led_to[here] = [*self._targets(module, definition)]
            waiting += self._led_to[here]
            reached.update(self._files_beside(module, definition))
        return reached

    def _definition(self, module: str, name: str) -> Definition | None:
        facts = self._read(module)
        return facts.definitions.get(name) if facts else None

    def _targets(self, module: str, definition: Definition) -> Iterable[str]:
        """The first-party definitions that a definition's names lead to."""
        facts = self._read(module)
        assert facts
        yield f"{module}:"  # statements at the top of the module that define nothing
        yield from (f"{module}:{name}" for name, each in facts.definitions.items() if each.is_entry)
        for function in definition.functions:
            if self._definition(*function.split(":")) is None:
                raise ValueError(f"{module} names '{function}', which is not to be found; correct the name")
            yield function
        for dotted in definition.names:
            head, *rest = dotted.split(".")
            # A name may be bound twice, as in `try: from a import b` with an own `b` behind `except`.
            if head in facts.definitions:
                yield f"{module}:{head}"
            for imports in (definition.imports, facts.imports):
                if head in imports:
                    yield from self._follow(imports[head], rest)
                for star in _star_imports(imports):
                    yield from self._follow(star, [head, *rest])

    def _files_beside(self, module: str, definition: Definition) -> Iterable[tuple[str, str]]:
        """Data files that a definition names and that lie beside its module."""
        here = self._file(module)
        for name in definition.files:
            if here and (file := here.with_name(name)).is_file():
                yield f"{module}:{name}", hashlib.sha256(file.read_bytes()).hexdigest()[:16]

    def _follow(self, target: str, rest: list[str], depth: int = 0) -> Iterable[str]:
        """Where an imported name leads, through re-exports and submodules."""
        module, _, attribute = target.partition(":")
        path = [attribute, *rest] if attribute else rest
        if module.partition(".")[0] not in PACKAGES or depth > 8:
            return
        while path and self._read(f"{module}.{path[0]}") is not None:
            module, path = f"{module}.{path[0]}", path[1:]
        facts = self._read(module)
        if facts is None:
            return
        if not path:  # the module itself is handed on: any of its names may be used
            yield from (f"{module}:{name}" for name in facts.definitions)
            return
        if path[0] in facts.definitions:
            yield f"{module}:{path[0]}"
        if path[0] in facts.imports:
            yield from self._follow(facts.imports[path[0]], path[1:], depth + 1)
        for star in _star_imports(facts.imports):
            yield from self._follow(star, path, depth + 1)

    def _file(self, module: str) -> Path | None:
        if module in self._extra:
            return self._extra[module]
        base = self.root.joinpath(*module.split("."))
        both = (base / "__init__.py", base.with_suffix(".py"))
        return next((path for path in both if path.is_file()), None)

    def _read(self, module: str) -> ModuleFacts | None:
        if module not in self._modules:
            path = self._file(module) if module.partition(".")[0] in PACKAGES else None
            self._modules[module] = self._facts(module, path) if path else None
        return self._modules[module]

    def _facts(self, module: str, path: Path) -> ModuleFacts:
        source = path.read_bytes()
        # A relative import reads differently from another module, hence the name beside the content.
        digest = hashlib.sha256(f"{_RULES} {module} {path.name} ".encode() + source).hexdigest()
        self._used.add(digest)
        known = self._known.get(digest)
        if known is None:
            package = module if path.name == "__init__.py" else module.rpartition(".")[0]
            known = _as_json(read_module(source, package, is_settings=path.name == "settings.py"))
            self._known[digest] = known
            self._learned = True
        definitions = {name: Definition(**facts) for name, facts in known["definitions"].items()}
        return ModuleFacts(definitions, known["imports"])

    @cached_property
    def _known(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.memory.read_text())) if self.memory else {}
        except (OSError, ValueError, TypeError):
            return {}

    def _remember(self) -> None:
        if not (self.memory and self._learned):
            return
        kept = self._known
        if len(kept) > _MOST_FACTS:
            kept = {digest: facts for digest, facts in kept.items() if digest in self._used}
        self.memory.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.memory.with_suffix(f".{os.getpid()}.{id(self)}")
        scratch.write_text(json.dumps(kept))
        scratch.replace(self.memory)
        self._learned = False


def _is_plumbing(module: str, here: str) -> bool:
    return here in PLUMBING or _is_in_plumbing(module)


@cache
def _is_in_plumbing(module: str) -> bool:
    parents = (module[:end] for end, character in enumerate(module + ".") if character == ".")
    return any(parent in PLUMBING for parent in parents)


def _star_imports(imports: Mapping[str, str]) -> list[str]:
    return [target for name, target in imports.items() if name.startswith("*")]


def _as_json(facts: ModuleFacts) -> dict[str, Any]:
    return {
        "definitions": {name: vars(definition) for name, definition in facts.definitions.items()},
        "imports": facts.imports,
    }
