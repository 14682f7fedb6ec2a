"""What a module's source defines, imports and uses: the facts that the code fingerprint walks over."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

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
