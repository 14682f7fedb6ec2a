"""What a reader may rely on, and what ought to be looked at: each in a sentence that the graph bears out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from lmcore.lineage import Manifest
from tasks.lineage.graph import Node
from tasks.lineage.words import entitled
from tasks.words import count

UNCLEAR = re.compile(r"\b(unknown|unclear|none|n/a|tbd|todo|to be (clarified|checked))\b|\?", re.IGNORECASE)
"""Licences that say that nobody knows."""


class Finding(NamedTuple):
    """One thing that was looked into."""

    word: str
    """`sound` or `look`."""
    topic: str
    sentence: str


def findings(nodes: Sequence[Node], forgotten: str = "") -> list[Finding]:
    """The whole list, in the order in which a reader would ask.

    Args:
        forgotten: what of its sources was forgotten since; nothing is made from that again.
    """
    asked: tuple[Callable[[Sequence[Node]], Iterator[Finding]], ...] = (
        _complete, _licences, _sides, _commits, *(() if forgotten else (_machines,)),
    )  # fmt: skip
    found = [finding for ask in asked for finding in ask(nodes)]
    if not forgotten:
        return found
    sentence = f"It saw what was forgotten since ({forgotten}), and is not made again."
    return [Finding("look", "Forgotten", sentence), *found]


def _complete(nodes: Sequence[Node]) -> Iterator[Finding]:
    gaps = [node for node in nodes if node.is_gap]
    if gaps:
        named = ", ".join(f"{node.address} ({node.digest[:12]})" for node in gaps)
        sentence = f"The record of {named} is gone, so nobody can say here what that was made from."
        yield Finding("look", "Incomplete", sentence)
        return
    files = sum(len(node.files) for node in nodes if node.is_source)
    sentence = (
        f"Every way back ends in one of {count(files, 'source file')} below, each with the SHA-256 of its "
        "bytes. No other file went into it."
    )
    yield Finding("sound", "Complete", sentence)


def _licences(nodes: Sequence[Node]) -> Iterator[Finding]:
    sources = [node for node in nodes if node.is_source]
    unclear = [node for node in sources if not node.licence or UNCLEAR.search(node.licence)]
    if unclear:
        named = "; ".join(f"{node.name}: “{node.licence or 'nothing stated'}”" for node in unclear)
        yield Finding("look", "Licences", f"It is not clear whether every source may be used. {named}.")
    elif sources:
        what = {1: "The one source states", 2: "Both sources state"}.get(
            len(sources), f"All {len(sources)} sources state"
        )
        sentence = f"{what} under what licence it may be used, see below. Nobody has checked that here."
        yield Finding("sound", "Licences", sentence)


def _sides(nodes: Sequence[Node]) -> Iterator[Finding]:
    for node in nodes:
        facts = node.manifest.facts if node.manifest else {}
        if node.step == "split_corpus" and {"train_documents", "test_documents"} <= facts.keys():
            train, chosen, test = (facts[f"{side}_documents"] for side in ("train", "validation", "test"))
            sentence = (
                f"{train:,} documents are there to learn from. {chosen:,} to choose by and {test:,} to "
                "measure by were kept apart from the start, and near copies with them."
            )
            yield Finding("sound", "Kept apart", sentence)


def _commits(nodes: Sequence[Node]) -> Iterator[Finding]:
    made = _made(nodes)
    states = [(node, manifest.provenance.get("git")) for node, manifest in made]
    without = [entitled(node) for node, git in states if git is None]
    dirty = [entitled(node) for node, git in states if git and git["dirty"]]
    commits = sorted({git["commit"][:8] for _, git in states if git})
    if without:
        sentence = f"Of {_some(without)} it is not known at which git commit the workspace stood."
        yield Finding("look", "Commits", f"{sentence} The code is known by its fingerprint all the same.")
    elif dirty:
        sentence = f"When {_some(dirty)} ran, the workspace held changes that were not committed to git."
        yield Finding("look", "Commits", f"{sentence} The code is known by its fingerprint all the same.")
    elif commits:
        where = f"commit{'' if len(commits) == 1 else 's'} {_some(commits)}"
        sentence = f"All of it was made with everything committed to git, at {where}."
        yield Finding("sound", "Commits", sentence)


def _machines(nodes: Sequence[Node]) -> Iterator[Finding]:
    made = [manifest for _, manifest in _made(nodes)]
    machines = sorted({manifest.environment.get("cpu", "?") for manifest in made})
    torches = sorted({manifest.environment.get("torch", "?") for manifest in made})
    if len(machines) > 1 or len(torches) > 1:
        sentence = f"It was made with torch {_some(torches)} on processors of kind {_some(machines)}."
        yield Finding("look", "Machines", f"{sentence} Made again on one of them, bytes may differ.")
    elif made:
        sentence = (
            f"All of it was made with torch {torches[0]} on one kind of processor ({machines[0]}). Made "
            "again like this, from the same files, it comes out the same, byte for byte."
        )
        yield Finding("sound", "Repeatable", sentence)


def _made(nodes: Sequence[Node]) -> list[tuple[Node, Manifest]]:
    return [(node, node.manifest) for node in nodes if node.manifest]


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
