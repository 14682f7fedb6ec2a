"""How it was made: tokenizer, steps, settings, code, libraries; products of both sides stand in pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.engine.reasons import differences
from tasks.lineage.diff.topic import Side, Topic, tally
from tasks.lineage.graph import Node, ordered
from tasks.lineage.words import entitled
from tasks.words import count

TOKENIZER = "train_tokenizer"
OF_BOTH = ("Settings", "Code", "Libraries")
"""Topics on products that both sides have."""


@dataclass(frozen=True)
class Pairs:
    """Products of both, side by side."""

    both: tuple[tuple[Node, Node], ...]
    only_was: tuple[Node, ...]
    only_now: tuple[Node, ...]


def paired(was: Node, now: Node) -> Pairs:
    """By step and name; of what is left, by step, in order: experiments may have other names."""
    before, after = (
        {(node.step, node.name): node for node in ordered(root) if node.manifest} for root in (was, now)
    )
    both = [(before.pop(label), after.pop(label)) for label in list(before) if label in after]
    for label in list(before):
        twin = next((other for other in after if other[0] == label[0]), None)
        if twin:
            both.append((before.pop(label), after.pop(twin)))
    return Pairs(tuple(both), tuple(before.values()), tuple(after.values()))


def tokenizers(was: Side, now: Side) -> Topic:
    """Whether text becomes the same tokens."""
    before, after = (
        sorted({node.digest for node in ordered(side.root) if node.step == TOKENIZER}) for side in (was, now)
    )
    if not before and not after:
        return Topic("Tokenizer", "same", "there is none")
    told = [" and ".join(digest[:12] for digest in digests) or "none" for digests in (before, after)]
    if before == after:
        return Topic("Tokenizer", "same", f"the same, byte for byte ({told[0]})")
    return Topic("Tokenizer", "changed", f"another one ({told[0]} -> {told[1]}), so text is cut otherwise")


def steps(pairs: Pairs) -> Topic:
    """Whether anything was made in another way."""
    details = (
        *(f"{entitled(node)} is new ({node.step})" for node in pairs.only_now),
        *(f"{entitled(node)} is gone ({node.step})" for node in pairs.only_was),
    )
    if details:
        return Topic("Steps", "changed", tally(details), details)
    return Topic("Steps", "same", f"the same {len(pairs.both)}")


def settings(pairs: Pairs) -> Topic:
    """Each setting, old -> new."""
    found = _grouped(
        (line.removeprefix("settings."), entitled(now))
        for was, now in pairs.both
        for line in differences(_part(was, "settings"), _part(now, "settings"))
    )
    details = tuple(f"{line}   ({', '.join(where)})" for line, where in found.items())
    if not details:
        return Topic("Settings", "same", "the same")
    return Topic("Settings", "changed", f"{len(details)} changed", details)


def code(pairs: Pairs) -> Topic:
    """Definitions that the steps reach."""
    found = _grouped(
        (line.removeprefix("code: "), now.step)
        for was, now in pairs.both
        for line in differences(_part(was, "code"), _part(now, "code"))
    )
    details = tuple(f"{line}   ({', '.join(where)})" for line, where in sorted(found.items()))
    if not details:
        return Topic("Code", "same", "the same")
    return Topic("Code", "changed", f"{count(len(details), 'definition')} changed", details)


def _part(node: Node, name: str) -> dict[str, Any]:
    return {name: node.manifest.key_document.get(name, {}) if node.manifest else {}}


def _grouped(lines: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Each line once, with all that it is said of."""
    found: dict[str, list[str]] = {}
    for line, where in lines:
        if where not in found.setdefault(line, []):
            found[line].append(where)
    return found


def libraries(pairs: Pairs) -> Topic:
    """Versions of what makes bits, and the kind of processor."""
    before, after = (_environment(pair[index] for pair in pairs.both) for index in (0, 1))
    details = tuple(
        f"{name} {_either(before, name)} -> {_either(after, name)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )
    if not details:
        same = f"the same (torch {_either(after, 'torch')}, {_either(after, 'cpu')})"
        return Topic("Libraries", "same", same)
    return Topic("Libraries", "changed", f"{len(details)} changed", details)


def _environment(nodes: Iterable[Node]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for node in nodes:
        for name, version in (node.manifest.environment if node.manifest else {}).items():
            found.setdefault(name, set()).add(version)
    return found


def _either(versions: Mapping[str, set[str]], name: str) -> str:
    return " or ".join(sorted(versions.get(name, {"none"})))
