"""What is known of a registered version: lineage, scores, verdict, cost, and its own configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmcore.lineage import Manifest
from tasks.card.scores import Measured, measured
from tasks.costs import Cost, total
from tasks.engine.artifact import Artifact
from tasks.engine.workspace import Workspace
from tasks.lineage.graph import RECORD, Node, gaps_of, ordered, sources_of, trace
from tasks.tracking.versions import Registered

TRAINING = ("pretrain_model", "continue_training", "finetune_model")


@dataclass(frozen=True)
class Verdict:
    """What the gate last said of it."""

    word: str
    sentence: str
    when: str
    address: str
    """Of the report."""
    champion: int | None
    """The version that it was judged beside."""
    is_kept: bool = True
    """Whether that report is still there."""


@dataclass(frozen=True)
class CardFacts:
    """Everything that a card is written from."""

    name: str
    version: int
    digest: str
    root: Node
    measured: Measured | None
    verdict: Verdict | None
    cost: Cost
    licence: str = ""
    """Under which the weights are passed on; empty if nobody has said."""
    forgotten: str = ""
    """When, by whom and why something that it saw was forgotten since."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The model's `config.json`."""

    @property
    def title(self) -> str:
        return f"{self.name} v{self.version}"

    @property
    def nodes(self) -> list[Node]:
        return ordered(self.root)

    @property
    def sources(self) -> list[Node]:
        return sources_of(self.root)

    @property
    def gaps(self) -> list[Node]:
        return gaps_of(self.root)

    @property
    def made(self) -> dict[str, Any]:
        """What its last step says of it, such as `parameters`."""
        return dict(self.root.manifest.facts) if self.root.manifest else {}

    @property
    def is_chat(self) -> bool:
        """Whether it was taught to answer."""
        return any(node.step == "finetune_model" for node in self.nodes)

    def manifests(self, *steps: str) -> list[Manifest]:
        """Of all that certain steps made on its way, in their order."""
        return [node.manifest for node in self.nodes if node.manifest and node.step in steps]

    def fact(self, step: str, name: str) -> Any:
        """A fact of the last product of a step; None if it is not known."""
        return next((made.facts[name] for made in reversed(self.manifests(step)) if name in made.facts), None)


def gather(workspace: Workspace, version: Registered) -> CardFacts:
    """All that the workspace and the registry know of a version."""
    root = trace(workspace.root, _model(workspace, version), version.home / RECORD)
    return CardFacts(
        name=version.name,
        version=version.version,
        digest=version.digest or "",
        root=root,
        measured=measured(workspace, version),
        verdict=_verdict(workspace.root, version),
        cost=total(node.manifest for node in ordered(root) if node.manifest),
        licence=version.licence,
        forgotten=version.forgotten,
        config=_config(version.folder),
    )


def _model(workspace: Workspace, version: Registered) -> Artifact:
    address = version.tags.get("lm.address") or workspace.address(version.folder)
    return Artifact(address, version.name, version.digest, version.key)


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _verdict(workspace: Path, version: Registered) -> Verdict | None:
    """The last word of the gate on this very model."""
    from tasks.tracking.journal import Journal
    from tasks.tracking.standing import standing

    entries = Journal(workspace, version.name).entries()
    numbers = standing(entries)
    for entry in reversed(entries):
        if entry.kind == "verdict" and entry.facts.get("challenger") == version.digest:
            beside = entry.facts.get("champion")
            number = numbers.version_of(beside) if beside else None
            facts = entry.facts
            report = facts.get("report", "")
            is_kept = bool(report) and (workspace / report / "verdict.json").is_file()
            return Verdict(facts["word"], facts["sentence"], entry.when, report, number, is_kept)
    return None
