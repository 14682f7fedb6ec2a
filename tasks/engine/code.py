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

import ast
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

PACKAGES = ("lmcore", "tasks")
PLUMBING = (
    "lmcore.config",
    "lmcore.lineage",
    "lmcore.registry",
    "lmcore.runtime",
    "tasks.artifacts",
    "tasks.engine",
    "tasks.pretrain:Watch",
    "tasks.subprocesses",
    "tasks.tracking",
    "tasks.versioning",
)
"""Modules and definitions that carry work but do not shape its bytes."""

_RULES = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
"""Facts are of no use to a walk by other rules."""
_MOST_FACTS = 2_000
_FUNCTION_IN_STRING = re.compile(r"^(?:lmcore|tasks)(?:\.\w+)+:\w+$")
_FILE_IN_STRING = re.compile(r"^[\w-][\w.-]*\.(?!py$)\w+$")
_SKIPPED_FIELDS = {"ctx", "type_comment", "kind", "type_ignores"}


@dataclass
class Definition:
    """One top-level name of a module: its hash, the dotted names that it uses, its own imports."""

    hash: str
    names: list[str]
    imports: dict[str, str] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """What may be the name of a file beside the module."""

    @property
    def is_entry(self) -> bool:
        """A constant `ENTRY = "lmcore.x:y"`: it says what the module runs, even where no code reads it."""
        return bool(self.functions) and not self.names


@dataclass
class ModuleFacts:
    """What the walk needs to know of one file."""

    definitions: dict[str, Definition]
    imports: dict[str, str]
    """Name in the module -> `module` or `module:attribute`."""


class CodeReader:
    """Reads modules below `root` (the folder that holds the packages), remembering facts by content.

    Safe to ask from several threads.
    """

    def __init__(self, root: Path, memory: Path | None = None) -> None:
        self.root = root
        self.memory = memory
        self._modules: dict[str, ModuleFacts | None] = {}
        self._extra: dict[str, Path] = {}
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
            waiting += self._targets(module, definition)
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
    parents = (module[:end] for end, character in enumerate(module + ".") if character == ".")
    return here in PLUMBING or any(parent in PLUMBING for parent in parents)


def _star_imports(imports: Mapping[str, str]) -> list[str]:
    return [target for name, target in imports.items() if name.startswith("*")]


def read_module(source: str | bytes, package: str, *, is_settings: bool = False) -> ModuleFacts:
    """Facts of one module's source; `package` is what its relative imports start from."""
    definitions: dict[str, Definition] = {}
    imports: dict[str, str] = {}
    loose: list[ast.stmt] = []
    for statement in _flatten(ast.parse(source).body):
        names = _defined_names(statement)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            imports.update(_imported(statement, package))
        elif names:
            cleaner = _Cleaner(is_settings)
            cleaned = cleaner.visit(statement)
            for name in names:
                definitions[name] = _define(cleaned, cleaner.annotations, package, definitions.get(name))
        elif not _is_text(statement):
            loose.append(statement)
    if loose:
        definitions[""] = _define(ast.Module(body=loose, type_ignores=[]), [], package, None)
    return ModuleFacts(definitions, imports)


def _flatten(statements: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    """Top-level statements, with the branches of `if` and `try` opened; a script's part is left out."""
    for statement in statements:
        if isinstance(statement, ast.If):
            asked = ast.unparse(statement.test)
            if asked == "__name__ == '__main__'":
                continue
            if asked.rpartition(".")[2] != "TYPE_CHECKING":
                yield ast.Expr(value=statement.test)
            yield from _flatten([*statement.body, *statement.orelse])
        elif isinstance(statement, ast.Try):
            handlers = [inner for handler in statement.handlers for inner in handler.body]
            yield from _flatten([*statement.body, *handlers, *statement.orelse, *statement.finalbody])
        else:
            yield statement


def _defined_names(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [statement.name]
        case ast.Assign(targets=targets):
            return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _ if statement.__class__.__name__ == "TypeAlias":
            return [statement.name.id]  # type: ignore[attr-defined]
    return []


def _define(
    node: ast.AST, annotations: Iterable[ast.expr], package: str, earlier: Definition | None
) -> Definition:
    """Facts of one definition; of a name that is bound twice, those of both together."""
    found = earlier or Definition("", [])
    names, functions, files = set(found.names), set(found.functions), set(found.files)
    imports = dict(found.imports)
    waiting: list[ast.AST] = [node, *annotations]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, ast.Name | ast.Attribute) and (dotted := _dotted(inner)):
            if not (isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)):
                names.add(dotted)
            continue
        if isinstance(inner, ast.Import | ast.ImportFrom):
            imports.update(_imported(inner, package))
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            functions.update([inner.value] if _FUNCTION_IN_STRING.match(inner.value) else [])
            files.update([inner.value] if _FILE_IN_STRING.match(inner.value) else [])
        waiting += reversed(list(ast.iter_child_nodes(inner)))
    digest = hashlib.sha256((found.hash + _dump(node)).encode()).hexdigest()[:16]
    return Definition(digest, sorted(names), imports, sorted(functions), sorted(files))


def _dotted(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            head = _dotted(value)
            return f"{head}.{attribute}" if head else None
    return None


def _imported(statement: ast.Import | ast.ImportFrom, package: str) -> dict[str, str]:
    if isinstance(statement, ast.Import):
        tops = {alias: alias.name.partition(".")[0] for alias in statement.names}
        return {alias.asname or top: alias.name if alias.asname else top for alias, top in tops.items()}
    base = statement.module or ""
    if statement.level:
        above = package.split(".")[: len(package.split(".")) - statement.level + 1]
        base = ".".join([*above, *([base] if base else [])])
    if statement.names[0].name == "*":
        return {f"* of {base}": base}
    return {alias.asname or alias.name: f"{base}:{alias.name}" for alias in statement.names}


def _is_text(statement: ast.stmt) -> bool:
    """A bare string: a docstring, or a sentence under a setting."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


class _Cleaner(ast.NodeTransformer):
    """Takes away what does not change what a definition computes."""

    def __init__(self, is_settings: bool) -> None:
        self.is_settings = is_settings
        self.annotations: list[ast.expr] = []
        """Taken away, but the classes that they name are used."""

    def visit_FunctionDef(self, node: Any) -> Any:
        self.generic_visit(node)
        self._annotation(node.returns)
        node.returns = None
        node.decorator_list = [each for each in node.decorator_list if _decorator_name(each) != "step"]
        plain = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        for argument in [*plain, node.args.vararg, node.args.kwarg]:
            if argument:
                self._annotation(argument.annotation)
                argument.annotation = None
        node.body = [each for each in node.body if not _is_text(each)] or [ast.Pass()]
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.generic_visit(node)
        body = [each for each in node.body if not _is_text(each)]
        # A decorated class is a dataclass or the like, whose values nobody puts into a key.
        if self.is_settings and not node.decorator_list:
            for each in body:
                self._annotation(each.annotation if isinstance(each, ast.AnnAssign) else None)
            body = [each for each in body if not _is_field_or_validator(each)]
        node.body = body or [ast.Pass()]
        return node

    def _annotation(self, annotation: ast.expr | None) -> None:
        self.annotations += [annotation] if annotation else []


def _is_field_or_validator(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.FunctionDef):
        return any("validator" in _decorator_name(each) for each in statement.decorator_list)
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        is_private = statement.target.id.startswith("_")
        return not is_private and "ClassVar" not in ast.unparse(statement.annotation)
    return False


def _decorator_name(node: ast.expr) -> str:
    called = node.func if isinstance(node, ast.Call) else node
    return _dotted(called) or ""


def _dump(node: Any) -> str:
    """A spelling of a syntax tree that is the same on every Python: no positions, no empty fields."""
    if isinstance(node, ast.JoinedStr):  # Python 3.12 ends a nested format with an empty text
        return f"JoinedStr({','.join(_dump(each) for each in node.values if not _is_empty_text(each))})"
    if isinstance(node, list):
        return "[" + ",".join(map(_dump, node)) + "]"
    if not isinstance(node, ast.AST):
        return ascii(node)  # which characters `repr` escapes depends on Python's version of Unicode
    fields = (
        (name, value)
        for name, value in ast.iter_fields(node)
        if name not in _SKIPPED_FIELDS and value is not None and value != []
    )
    return type(node).__name__ + "(" + ",".join(f"{name}={_dump(value)}" for name, value in fields) + ")"


def _is_empty_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == ""


def _as_json(facts: ModuleFacts) -> dict[str, Any]:
    return {
        "definitions": {name: vars(definition) for name, definition in facts.definitions.items()},
        "imports": facts.imports,
    }
