"""A model and its scores become a version in MLflow's registry, with its lineage attached."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmcore.lineage import Facts, read_manifest
from tasks.artifacts import Checkpoint, Registration, Report
from tasks.engine.proof import prove
from tasks.engine.step import Build, Forecast, step
from tasks.engine.workspace import Workspace
from tasks.settings import RegistrationConfig


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    return Forecast(seconds=1 + arguments["model"].size / 1e8, memory=5e7, disk=5e4)


def _is_registered(workspace: Path, product: Path, in_full: bool) -> bool:
    """Whether the registry still holds this very model, every byte of it, and the alias points at it."""
    from tasks.tracking.versions import registered

    entry = json.loads((product / "registration.json").read_text())
    version = registered(workspace, entry["name"], entry["alias"])
    if version is None or version.digest != entry["digest"]:
        return False
    place = Workspace(workspace)
    copy = prove(place, place.address(version.folder), in_full=in_full).manifest
    return copy is not None and copy.digest == entry["digest"]


@step(makes=Registration, forecast=_forecast, is_registered=_is_registered)
def register_model(
    build: Build, model: Checkpoint, report: Report, settings: RegistrationConfig, *, name: str
) -> Facts:
    """Give the model a version with signature, input example, lineage and alias; it loads anywhere."""
    from tasks.lineage import as_json, as_text, trace
    from tasks.tracking.registry import register

    folder, manifest = build.path(model), read_manifest(build.path(model))
    scores = json.loads((build.path(report) / "scores.json").read_text())
    lineage = trace(build.workspace_root, model)
    tree, record = as_text(lineage), as_json(lineage)
    (build.folder / "lineage.json").write_text(record, encoding="utf-8")
    version = register(
        build.workspace_root,
        folder,
        name=settings.model or name,
        alias=settings.alias,
        key=manifest.key,
        digest=manifest.digest,
        run_id=manifest.provenance["mlflow_run_id"],
        example_prompt=settings.example_prompt,
        metrics=_figures(scores),
        tags={"lm.experiment": name, "lm.address": model.address, "lm.report": report.address},
        description=_describe(scores, as_text(lineage, most_files=10)),
        attachments={"lineage.txt": tree, "lineage.json": record},
    )
    entry = {
        "name": version.name,
        "alias": settings.alias,
        "digest": manifest.digest,
        "scores": _figures(scores),
    }
    (build.folder / "registration.json").write_text(json.dumps(entry, indent=1, sort_keys=True) + "\n")
    # The number depends on what was registered before, so it is no part of the product's content.
    (build.folder / "log").mkdir()
    (build.folder / "log" / "version.json").write_text(json.dumps({"version": version.version}) + "\n")
    return {"registered_as": version.name, "alias": settings.alias}


def _figures(scores: Mapping[str, Any]) -> dict[str, float]:
    model, unigram = scores["model"], scores["unigram"]
    return {
        "test/bits_per_byte": model["bits_per_byte"]["value"],
        "test/perplexity": model["perplexity"]["value"],
        "test/unigram_bits_per_byte": unigram["bits_per_byte"]["value"],
    }


def _describe(scores: Mapping[str, Any], lineage: str) -> str:
    bits, unigram = scores["model"]["bits_per_byte"], scores["unigram"]["bits_per_byte"]
    is_known = bits["low"] is not None  # one document alone has no spread to judge by
    interval = f"95 % interval over documents {bits['low']:.3f} to {bits['high']:.3f}; " if is_known else ""
    return (
        f"{bits['value']:.3f} bits per byte on {scores['documents']} held-out documents "
        f"({interval}a unigram model has {unigram['value']:.3f}).\n\n```\n{lineage}```\n"
    )
