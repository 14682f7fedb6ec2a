"""The call of a step out of the manifest of what it made: settings typed as the step declares them."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lmcore.config import SettingsError
from lmcore.corpus.settings import Source
from lmcore.lineage import Manifest
from tasks.artifacts import SourceFiles
from tasks.engine.artifact import Artifact
from tasks.engine.step import Step, known_steps

Remade = Mapping[tuple[str, str | None], Artifact]
"""(address, digest) of a product as recorded -> what stands for it now."""
Roots = Mapping[tuple[str, str | None], Path]
"""(address, digest) of a source -> the folder that its files lie in."""


def step_of(manifest: Manifest) -> Step[Any, Any]:
    """The step that made a product.

    Raises:
        SettingsError: this version of the code has none of that name.
    """
    step = known_steps.get(manifest.step)
    if step is None:
        raise SettingsError(f"there is no step '{manifest.step}' in this version of the code{at(manifest)}")
    return step


def arguments_of(manifest: Manifest, remade: Remade, roots: Roots) -> dict[str, Any]:
    """The arguments by name, with what was remade in the place of what was recorded.

    Raises:
        SettingsError: the step takes other arguments by now.
    """
    step = step_of(manifest)
    given = {
        **_settings(step, manifest),
        **{name: _inputs(value, remade) for name, value in manifest.inputs.items()},
        "name": manifest.name,
    }
    given |= _ignored(step, given, roots)
    try:
        return step.bind(**given)
    except TypeError as error:
        raise SettingsError(f"{step.name} takes other arguments by now ({error}){at(manifest)}") from None


def at(manifest: Manifest) -> str:
    """The end of a sentence: where the code is that made it."""
    commit = (manifest.provenance.get("git") or {}).get("commit")
    return f"; git checkout {commit[:12]}, and reproduce it there" if commit else ""


def _settings(step: Step[Any, Any], manifest: Manifest) -> dict[str, Any]:
    types, typed = typing.get_type_hints(step.function), {}
    for name, value in manifest.key_document.get("settings", {}).items():
        if name not in types:
            raise SettingsError(f"{step.name} has no setting '{name}' any more{at(manifest)}")
        try:
            typed[name] = TypeAdapter(types[name]).validate_python(value)
        except ValidationError as error:
            what = error.errors()[0]["msg"]
            raise SettingsError(f"{step.name} does not take its '{name}' ({what}){at(manifest)}") from None
    return typed


def _inputs(value: Any, remade: Remade) -> Any:
    if isinstance(value, list):
        return [_inputs(each, remade) for each in value]
    recorded = Artifact.from_json(value)
    return remade.get((recorded.address, recorded.digest), recorded)


def _ignored(step: Step[Any, Any], given: Mapping[str, Any], roots: Roots) -> dict[str, Any]:
    """What does not stand in a key: where sources lie, and how they describe themselves."""
    ignored: dict[str, Any] = {}
    files = given.get("files")
    if "root" in step.ignores and isinstance(files, SourceFiles):
        ignored["root"] = str(roots[files.address, files.digest])
    if "source" in step.ignores and isinstance(files, SourceFiles):
        about = {"title": files.name, "origin": files.address, "licence": files.licence or "unknown"}
        ignored["source"] = Source(
            **about, reader=given["reader"], max_document_bytes=given["max_document_bytes"]
        )
    if "roots" in step.ignores:
        ignored["roots"] = [str(roots[each.address, each.digest]) for each in given["own"]]
    return ignored
