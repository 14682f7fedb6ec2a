"""Aliases and their journals: moves that were interrupted, versions that the registry has lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from lmcore.config import Config
from lmcore.lineage import Manifest, read_manifest
from tasks.engine.checks.databases import opens
from tasks.engine.checks.finding import Finding
from tasks.engine.locks import is_held
from tasks.engine.proof import prove
from tasks.engine.reach import registrations
from tasks.engine.step import Step, known_steps, unwrap
from tasks.engine.workspace import Workspace

if TYPE_CHECKING:
    from tasks.tracking.journal import Journal

MISSED = "a run, or lm pull, brings it"


def lost_versions(workspace: Workspace, _: bool) -> Iterator[Finding]:
    """What was registered, is known by its product or the journal, and the registry has no more.

    A version that somebody has deleted is not lost: the registry knows that it was there.
    """
    if _is_out_of_reach(workspace):
        return
    found = sorted(_lost_products(workspace), key=lambda each: (each[0], each[1] or 0))
    for name, number, folder, why_not in found:
        version = f"v{number}" if number else "a version"
        what = f"the registry has lost {name} {version}, of {workspace.address(folder)}"
        mend = None if why_not else partial(_register_again, workspace, folder)
        yield Finding(what, why_not or "register it again", mend)
    yield from _lost_without_a_product(workspace, {(name, number) for name, number, *_ in found})


def pending_moves(workspace: Workspace, _: bool) -> Iterator[Finding]:
    """Moves of aliases that were begun and not finished, and half a line at the end of a journal."""
    from tasks.tracking.journal import LOCK, journals
    from tasks.tracking.registrar import waits

    if is_held(workspace.root / LOCK) or _is_out_of_reach(workspace):
        return
    for journal in journals(workspace.root):
        where = workspace.address(journal.path)
        if torn := journal.torn():
            what = f"{where} ends in half a line ({torn} bytes), on whose word nothing was done"
            yield Finding(what, "the next line cuts it off", journal.cut)
        for entry in journal.pending():
            told = f"{entry.facts['cause']} by {entry.who}, {entry.when}"
            what = f"{where}: line {entry.id} ({told}) was interrupted"
            if waits(workspace.root, journal.model, entry):
                yield Finding(what, "it waits for a version that is lost; the next move takes its place")
            else:
                mend = partial(_finish, workspace, journal)
                yield Finding(what, "the next command that moves an alias finishes it", mend)


def foreign_journals(workspace: Workspace, _: bool) -> Iterator[Finding]:
    """A journal tells of the versions of this registry, not of those of another clone."""
    from tasks.tracking.journal import journals
    from tasks.tracking.registrar import foreign, strangers

    if _is_out_of_reach(workspace):
        return
    for journal in journals(workspace.root):
        if others := strangers(workspace.root, journal.model):
            what, cure = foreign(journal, others).split("; ", 1)
            yield Finding(what, cure)


def aliases_of_nothing(workspace: Workspace, _: bool) -> Iterator[Finding]:
    """An alias leads to a version that there is."""
    from tasks.tracking.versions import all_aliases, versions

    if opens(workspace, "mlflow") is None:
        return
    there = {(version.name, version.version) for version in versions(workspace.root)}
    for name, alias, number in all_aliases(workspace.root):
        if (name, number) not in there:
            what = f"{name}@{alias} leads to v{number}, which is gone"
            cure = "go back to the champion before it" if alias == "champion" else "take the alias away"
            yield Finding(what, cure, partial(_lead_back, workspace, name, alias, number))


def _is_out_of_reach(workspace: Workspace) -> bool:
    """There is a database, and it does not open: another check says so."""
    return (workspace.root / "mlflow.db").exists() and opens(workspace, "mlflow") is None


def _lost_products(workspace: Workspace) -> Iterator[tuple[str, int | None, Path, str | None]]:
    """(model, number, folder, why it cannot be registered again) of registrations without a version."""
    from tasks.tracking.journal import Journal
    from tasks.tracking.standing import standing
    from tasks.tracking.versions import numbers_of

    for folder, entry in registrations(workspace):
        name, digest = str(entry["name"]), str(entry["digest"])
        if digest in numbers_of(workspace.root, name, settled=True).values():
            continue
        number = standing(Journal(workspace.root, name).entries()).version_of(digest)
        yield name, number or _written_down(folder), folder, _why_not(workspace, folder, entry)


def _written_down(folder: Path) -> int | None:
    try:
        return int(json.loads((folder / "log" / "version.json").read_text())["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _why_not(workspace: Workspace, folder: Path, entry: Mapping[str, Any]) -> str | None:
    """Why a model cannot be registered from its product; None if it can."""
    manifest = prove(workspace, workspace.address(folder)).manifest
    if manifest is None or not _step_of(manifest):
        return "its registration is damaged: run its flow again"
    address = entry["model"]["address"]
    model = prove(workspace, address).manifest
    if model is None or model.digest != entry["digest"]:
        return f"{address} is gone too: {MISSED}"
    return None


def _lost_without_a_product(workspace: Workspace, told: set[tuple[str, int | None]]) -> Iterator[Finding]:
    """What a journal tells of, and neither the registry nor a product: most likely of another clone."""
    from tasks.tracking.journal import journals
    from tasks.tracking.standing import standing
    from tasks.tracking.versions import numbers_of

    for journal in journals(workspace.root):
        now, numbers = standing(journal.entries()), numbers_of(workspace.root, journal.model)
        for number in sorted(set(now.aliases.values()) - numbers.keys()):
            if (journal.model, number) not in told:
                aliases = " ".join(alias for alias, of in sorted(now.aliases.items()) if of == number)
                where = f"{workspace.address(journal.path)} knows {journal.model} v{number} ({aliases})"
                yield Finding(f"{where}, which is not registered here", MISSED, is_note=True)


def _step_of(manifest: Manifest) -> Step[Any, Any] | None:
    step = known_steps.get(manifest.step)
    return step if step and step.renew else None


def _register_again(workspace: Workspace, folder: Path) -> None:
    manifest = read_manifest(folder)
    step = _step_of(manifest)
    assert step
    assert step.renew
    step.renew(workspace.root, folder, arguments_of(step, manifest))


def arguments_of(step: Step[Any, Any], manifest: Manifest) -> dict[str, Any]:
    """The arguments of the call that made a product, from its manifest."""
    hints, settings = get_type_hints(step.function), manifest.key_document["settings"]
    arguments: dict[str, Any] = {name: unwrap(value) for name, value in manifest.inputs.items()}
    for name, value in settings.items():
        kind = hints.get(name)
        is_config = isinstance(kind, type) and issubclass(kind, Config)
        arguments[name] = kind.model_validate(value) if is_config and kind else value
    return {**arguments, "name": manifest.name}


def _finish(workspace: Workspace, journal: Journal) -> None:
    from tasks.tracking.moves import finish

    finish(workspace.root, journal.model)


def _lead_back(workspace: Workspace, name: str, alias: str, number: int) -> None:
    from tasks.tracking.moves import clear_alias, rollback

    why = f"v{number} is gone from the registry"
    if alias == "champion":
        rollback(workspace.root, name, why=why)
    else:
        clear_alias(workspace.root, name, alias, why)
