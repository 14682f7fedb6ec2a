"""A model that was chosen becomes a version in MLflow's registry, with its lineage attached."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.lineage import Facts, read_manifest
from tasks.artifacts import Checkpoint, Choice, Conversations, Registration, Report, Shards
from tasks.engine.proof import prove
from tasks.engine.step import Build, Forecast, step
from tasks.engine.workspace import Workspace
from tasks.settings import RegistrationConfig
from tasks.who import who
from tasks.words import count

if TYPE_CHECKING:
    from tasks.lineage import Node

ENTRY = "registration.json"
LINEAGE = "lineage.json"
SEEN = ("documents.parquet", "own_conversations.json")
"""What the model was made with."""
MOST_SOURCES = 10
"""That a description names."""


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    return Forecast(seconds=1 + arguments["candidates"][0].size / 1e8, memory=5e7, disk=5e4)


def _is_registered(workspace: Path, product: Path, in_full: bool) -> bool:
    """Whether the registry holds this very model, every byte of it, with its card, and it was once given its
    alias.

    Which one it has now is up to whoever moved it last: to go back to an older commit is no reason to
    promote it.
    """
    from tasks.card import is_published
    from tasks.tracking.moves import is_enlisted
    from tasks.tracking.versions import versions

    entry = json.loads((product / ENTRY).read_text())
    name, digest = entry["name"], entry["digest"]
    version = next((each for each in versions(workspace, name) if each.digest == digest), None)
    if version is None or not version.model_id or not is_enlisted(workspace, name, digest):
        return False
    if not is_published(version):
        return False
    place = Workspace(workspace)
    copy = prove(place, place.address(version.folder), in_full=in_full).manifest
    return copy is not None and copy.digest == digest


def _register_again(workspace: Path, product: Path, arguments: Mapping[str, Any]) -> None:
    """For a registry that lost the model, or never had it: a copy of the workspace, an emptied database.

    A model that the journal knows gets back the aliases that it had, and no others.
    """
    from tasks.tracking.moves import is_enlisted

    entry = json.loads((product / ENTRY).read_text())
    is_known = is_enlisted(workspace, entry["name"], entry["digest"])
    _register(workspace, product, entry, arguments, alias=None if is_known else entry["alias"])


@step(makes=Registration, forecast=_forecast, is_registered=_is_registered, renew=_register_again)
def register_model(
    build: Build,
    candidates: Sequence[Checkpoint],
    choice: Choice,
    test: Report,
    shards: Shards,
    conversations: Sequence[Conversations],
    settings: RegistrationConfig,
    *,
    name: str,
) -> Facts:
    """Give the chosen candidate a version with signature, example, lineage and alias; it loads anywhere.

    With it goes what it has seen: every document of the shards that the candidates were made with, and every
    own conversation.
    """
    from lmcore.batching.seen import data_digest, read_seen, write_seen
    from lmcore.conversations.seen import own_digests, write_seen_conversations
    from tasks.lineage import as_json, trace

    chosen = json.loads((build.path(choice) / "choice.json").read_text())
    model = candidates[chosen["index"]]
    record = as_json(trace(build.workspace_root, model))
    (build.folder / LINEAGE).write_text(record, encoding="utf-8")
    write_seen(build.path(shards), build.folder)
    data = [each.digest for each in read_seen(build.folder)]
    for each in conversations:
        write_seen_conversations(build.path(each), build.folder)
        data += own_digests(build.path(each)).values()
    entry = {
        "name": settings.model or name,
        "alias": settings.alias,
        "model": model.to_json(),
        "digest": model.digest,
        "data": data_digest(data),
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
    from tasks.card import publish
    from tasks.lineage import as_text, trace
    from tasks.tracking.describing import state_licence
    from tasks.tracking.pages import show_page
    from tasks.tracking.registry import register

    model, settings = Checkpoint.from_json(entry["model"]), arguments["settings"]
    manifest = read_manifest(workspace / model.address)
    lineage = trace(workspace, model, product / LINEAGE)
    page, run_id = _page(entry, lineage), manifest.provenance.get("mlflow_run_id")
    link = show_page(workspace, run_id, "lineage", entry["name"], page)
    version = register(
        workspace,
        workspace / model.address,
        name=entry["name"],
        alias=alias,
        key=manifest.key,
        digest=manifest.digest,
        run_id=run_id,
        example_prompt=settings.example_prompt,
        is_chat=settings.is_chat,
        metrics=entry["scores"],
        tags={
            "lm.experiment": arguments["name"],
            "lm.address": model.address,
            "lm.data": entry["data"],
            "lm.report": arguments["test"].address,
            "lm.chosen": entry["chosen"],
            "lm.why": entry["why"],
        },
        description=_describe(entry, lineage, link),
        attachments={
            "lineage.html": page,
            "lineage.txt": as_text(lineage),
            LINEAGE: (product / LINEAGE).read_text(encoding="utf-8"),
            **{file: (product / file).read_bytes() for file in SEEN if (product / file).is_file()},
        },
        number=_number(product),
        who=who(),
    )
    state_licence(workspace, version, settings.licence)
    publish(workspace, entry["name"], version.version)
    return version.version


def _number(product: Path) -> int | None:
    """The version that a product once became, if it still says so."""
    try:
        return int(json.loads((product / "log" / "version.json").read_text())["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _figures(facts: Facts, chosen: str) -> dict[str, float]:
    """The chosen model's own numbers among those of a test report."""
    prefix = f"{chosen}_"
    return {
        f"test/{name.removeprefix(prefix)}": float(value)
        for name, value in facts.items()
        if name.startswith(prefix) and isinstance(value, int | float)
    }


def _page(entry: Mapping[str, Any], lineage: Node) -> str:
    """Where the model comes from, as HTML."""
    from tasks.lineage.page import About, render

    about = About(entry["name"], is_registered=True, scores=entry["scores"], why=entry["why"])
    return render(lineage, about)


def _describe(entry: Mapping[str, Any], lineage: Node, link: str | None) -> str:
    """What MLflow shows at the top of a version's page, in Markdown: first of all where it comes from."""
    from tasks.lineage import sources_of
    from tasks.lineage.words import scores_in

    where = f"[Where this model comes from]({link})" if link else "`lineage.html` among the model's artifacts"
    sources = [f"{_plain(each.name)} ({_plain(each.licence)})" for each in sources_of(lineage)]
    files = sum(len(each.files) for each in sources_of(lineage))
    more = f", and {len(sources) - MOST_SOURCES} more" if len(sources) > MOST_SOURCES else ""
    scores = "".join(
        f"| {_plain(score.name)} | {score.value:.4g} |\n" for score in scores_in(entry["scores"])
    )
    return (
        f"**{where}**: every file, setting and step behind it, on one page.\n\n"
        f"Made from {count(files, 'file')} of {count(len(sources), 'source')}: "
        f"{', '.join(sources[:MOST_SOURCES])}{more}.\n\n"
        f"`{entry['chosen']}` was chosen on the validation side: {entry['why']}.\n\n"
        f"| on the test side | |\n|---|---|\n{scores}"
    )


def _plain(text: str) -> str:
    """A text from outside that Markdown is to take literally."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>()#|!" else letter for letter in text)
