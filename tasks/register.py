"""A model that was chosen becomes a version in MLflow's registry, with its lineage attached."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmcore.lineage import Facts, read_manifest
from tasks.artifacts import Checkpoint, Choice, Registration, Report, Shards
from tasks.engine.proof import prove
from tasks.engine.step import Build, Forecast, step
from tasks.engine.workspace import Workspace
from tasks.settings import RegistrationConfig

ENTRY = "registration.json"


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    return Forecast(seconds=1 + arguments["candidates"][0].size / 1e8, memory=5e7, disk=5e4)


def _is_registered(workspace: Path, product: Path, in_full: bool) -> bool:
    """Whether the registry holds this very model, every byte of it, and the alias points at some version.

    At which one is up to whoever moved it last: to go back to an older commit is no reason to promote it.
    """
    from tasks.tracking.versions import registered, versions

    entry = json.loads((product / ENTRY).read_text())
    version = next(
        (each for each in versions(workspace, entry["name"]) if each.digest == entry["digest"]), None
    )
    if version is None or registered(workspace, entry["name"], entry["alias"]) is None:
        return False
    place = Workspace(workspace)
    copy = prove(place, place.address(version.folder), in_full=in_full).manifest
    return copy is not None and copy.digest == entry["digest"]


def _register_again(workspace: Path, product: Path, arguments: Mapping[str, Any]) -> None:
    """For a registry that lost the model, or never had it: a copy of the workspace, an emptied database."""
    from tasks.tracking.versions import registered

    entry = json.loads((product / ENTRY).read_text())
    has_alias = registered(workspace, entry["name"], entry["alias"]) is not None
    _register(workspace, product, entry, arguments, alias=None if has_alias else entry["alias"])


@step(makes=Registration, forecast=_forecast, is_registered=_is_registered, renew=_register_again)
def register_model(
    build: Build,
    candidates: Sequence[Checkpoint],
    choice: Choice,
    test: Report,
    shards: Shards,
    settings: RegistrationConfig,
    *,
    name: str,
) -> Facts:
    """Give the chosen candidate a version with signature, example, lineage and alias; it loads anywhere.

    With it goes what it has seen: every document of the shards that the candidates were made with.
    """
    from lmcore.batching.seen import write_seen
    from tasks.lineage import as_json, trace

    chosen = json.loads((build.path(choice) / "choice.json").read_text())
    model = candidates[chosen["index"]]
    record = as_json(trace(build.workspace_root, model))
    (build.folder / "lineage.json").write_text(record, encoding="utf-8")
    write_seen(build.path(shards), build.folder)
    entry = {
        "name": settings.model or name,
        "alias": settings.alias,
        "model": model.to_json(),
        "digest": model.digest,
        "chosen": chosen["chosen"],
        "why": chosen["sentence"],
        "scores": _figures(read_manifest(build.path(test)).facts, chosen["chosen"]),
    }
    (build.folder / ENTRY).write_text(json.dumps(entry, indent=1, sort_keys=True) + "\n")
    arguments = {"settings": settings, "name": name, "test": test}
    version = _register(build.workspace_root, build.folder, entry, arguments, alias=settings.alias)
    # The number depends on what was registered before, so it is no part of the product's content.
    (build.folder / "log").mkdir()
    (build.folder / "log" / "version.json").write_text(json.dumps({"version": version}) + "\n")
    return {"registered_as": entry["name"], "alias": settings.alias, "chosen": chosen["chosen"]}


def _register(
    workspace: Path, product: Path, entry: Mapping[str, Any], arguments: Mapping[str, Any], alias: str | None
) -> int:
    """Give the model in an entry its version; returns the version's number."""
    from tasks.lineage import as_text, trace
    from tasks.tracking.registry import register

    model, settings = Checkpoint.from_json(entry["model"]), arguments["settings"]
    manifest, lineage = read_manifest(workspace / model.address), trace(workspace, model)
    version = register(
        workspace,
        workspace / model.address,
        name=entry["name"],
        alias=alias,
        key=manifest.key,
        digest=manifest.digest,
        run_id=manifest.provenance.get("mlflow_run_id"),
        example_prompt=settings.example_prompt,
        is_chat=settings.is_chat,
        metrics=entry["scores"],
        tags={
            "lm.experiment": arguments["name"],
            "lm.address": model.address,
            "lm.report": arguments["test"].address,
        },
        description=_describe(entry, as_text(lineage, most_files=10)),
        attachments={
            "lineage.txt": as_text(lineage),
            "lineage.json": (product / "lineage.json").read_text(encoding="utf-8"),
            "documents.parquet": (product / "documents.parquet").read_bytes(),
        },
    )
    return version.version


def _figures(facts: Facts, chosen: str) -> dict[str, float]:
    """The chosen model's own numbers among those of a test report."""
    prefix = f"{chosen}_"
    return {
        f"test/{name.removeprefix(prefix)}": float(value)
        for name, value in facts.items()
        if name.startswith(prefix) and isinstance(value, int | float)
    }


def _describe(entry: Mapping[str, Any], lineage: str) -> str:
    scores = "".join(
        f"| {name.removeprefix('test/')} | {value:.4g} |\n" for name, value in entry["scores"].items()
    )
    return (
        f"`{entry['chosen']}` was chosen on the validation side: {entry['why']}.\n\n"
        f"| on the test side | |\n|---|---|\n{scores}\n```\n{lineage}```\n"
    )
