"""What differs between two models, or any two products, in words.

topic.py      one topic of a comparison
data.py       source files, documents row by row (documents.py), conversations
making.py     tokenizer, steps, settings, code, libraries
scores.py     what came of it
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tasks.lineage.diff import data, making, scores
from tasks.lineage.diff.topic import Side, Topic
from tasks.lineage.graph import Node, gaps_of

__all__ = ["Difference", "Side", "Topic", "as_json", "as_text", "diff"]
MARKS = {"same": "=", "changed": "*", "unknown": "?"}


@dataclass(frozen=True)
class Difference:
    """From one product to another."""

    was: str
    now: str
    summary: str
    topics: tuple[Topic, ...]


def diff(was: Side, now: Side) -> Difference:
    """Compare two products by what they were made from, and how."""
    pairs = making.paired(was.root, now.root)
    behind: tuple[Topic, ...] = (
        data.sources(was, now),
        making.tokenizers(was, now),
        making.steps(pairs),
        making.settings(pairs),
        making.code(pairs),
        making.libraries(pairs),
    )
    if gaps := [*gaps_of(was.root), *gaps_of(now.root)]:
        behind = tuple(_doubted(topic, gaps[0]) for topic in behind)
    read = (data.documents(was, now), *data.questions(was, now))
    topics = (behind[0], *read, *behind[1:], scores.scores(was, now))
    return Difference(was.title, now.title, _summary(was, now, topics), topics)


def _doubted(topic: Topic, gap: Node) -> Topic:
    """What can still be said where a record is gone: changes of what both have, and nothing else."""
    if topic.word == "changed" and topic.name in making.OF_BOTH:
        return topic
    return Topic(topic.name, "unknown", f"the record of {gap.address} is gone, and with it what is behind it")


def _summary(was: Side, now: Side, topics: Sequence[Topic]) -> str:
    if was.root.digest == now.root.digest:
        return f"{now.title} and {was.title} are the same, byte for byte."
    names = {word: [each.name.lower() for each in topics if each.word == word] for word in MARKS}
    told = [
        f"changed: {', '.join(names['changed']) or 'nothing that is on record'}",
        *([f"the same: {', '.join(names['same'])}"] if names["same"] else []),
        *([f"not known: {', '.join(names['unknown'])}"] if names["unknown"] else []),
    ]
    return "; ".join(told)


def as_text(difference: Difference, most: int | None = None) -> str:
    """The whole in lines.

    Args:
        most: how many details of a topic are listed; all of them if left out.
    """
    lines = [f"{difference.was} -> {difference.now}", difference.summary, ""]
    for topic in difference.topics:
        lines.append(f"{MARKS[topic.word]} {topic.name:<10}  {topic.sentence}")
        lines += [f"    {detail}" for detail in topic.details[:most]]
        if most is not None and len(topic.details) > most:
            lines.append(f"    and {len(topic.details) - most:,} more; --all lists them")
    return "\n".join(lines) + "\n"


def as_json(difference: Difference) -> str:
    """The same for programs."""
    return json.dumps(asdict(difference), indent=1, ensure_ascii=False) + "\n"
