"""What the parts of a comparison have in common."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lmcore.lineage import Manifest
from tasks.lineage.graph import Node, ordered

if TYPE_CHECKING:
    from lmcore.batching.seen import SeenDocument

CONVERSATIONS = "write_conversations"
Word = Literal["same", "changed", "unknown"]


@dataclass(frozen=True)
class Side:
    """One of the two products that are compared."""

    title: str
    root: Node
    scores: Mapping[str, float] = field(default_factory=dict)
    """On the test side, by name."""
    documents: Sequence[SeenDocument] | None = None
    """All that it was made with; None if that is not known."""
    asked: Mapping[str, Collection[str]] | None = None
    """The user's own conversations that it was made with, by side: digests of what is asked."""

    @property
    def taught(self) -> Manifest | None:
        """The conversations that it was taught by, and is examined on."""
        found = (node.manifest for node in ordered(self.root) if node.step == CONVERSATIONS)
        return next(found, None)


@dataclass(frozen=True)
class Topic:
    """One thing that was compared."""

    name: str
    word: Word
    sentence: str
    details: tuple[str, ...] = ()


def tally(details: Iterable[str]) -> str:
    """`10 new, 1 gone, 2 changed`, from lines that say `... is new`, `... is gone`, or something else."""
    told = list(details)
    counts = {word: sum(f" is {word}" in each for each in told) for word in ("new", "gone")}
    counts["changed"] = len(told) - sum(counts.values())
    return ", ".join(f"{number:,} {word}" for word, number in counts.items() if number)
