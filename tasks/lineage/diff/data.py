"""Source files, and documents row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lmcore.lineage import Manifest
from tasks.engine.reasons import changed_files
from tasks.lineage.diff.documents import SIDES, compare
from tasks.lineage.diff.topic import Side, Topic, tally
from tasks.lineage.graph import Node, sources_of
from tasks.words import count

if TYPE_CHECKING:
    from lmcore.batching.seen import SeenDocument


def sources(was: Side, now: Side) -> Topic:
    """Files and licences of all sources."""
    before, after = ({node.name: node for node in sources_of(side.root)} for side in (was, now))
    details = [f"source {name} is new: {_holding(after[name])}" for name in after if name not in before]
    details += [f"source {name} is gone: {_holding(before[name])}" for name in before if name not in after]
    for name in sorted(before.keys() & after.keys()):
        one, other = before[name], after[name]
        details += [f"{name}/{change}" for change in changed_files(one.files, other.files)]
        if one.licence != other.licence:
            details.append(f"licence of {name}: “{one.licence}” -> “{other.licence}”")
    files = count(sum(len(node.files) for node in after.values()), "file")
    held = f"{files} of {count(len(after), 'source')}"
    if details:
        return Topic("Sources", "changed", f"{tally(details)}; {held} now", tuple(details))
    return Topic("Sources", "same", f"the same {held}")


def _holding(source: Node) -> str:
    return f"{count(len(source.files), 'file')}, licence “{source.licence}”"


def documents(was: Side, now: Side) -> Topic:
    """Which documents are new, gone, rewritten or on another side."""
    if was.documents is None or now.documents is None:
        lacking = was.title if was.documents is None else now.title
        return Topic("Documents", "unknown", f"no copy is left of the documents of {lacking}")
    changes = compare(was.documents, now.documents)
    details = (
        *(f"{_place(each)} is new ({each.side})" for each in changes.new),
        *(f"{_place(each)} is gone ({each.side})" for each in changes.gone),
        *(f"{_place(other)} was rewritten ({_sides(one, other)})" for one, other in changes.rewritten),
        *(f"{_place(other)} went over ({_sides(one, other)})" for one, other in changes.moved),
    )
    sides = _counts(was.documents, now.documents)
    if not details:
        return Topic("Documents", "same", f"the same {changes.num_same:,} on the same sides ({sides})")
    numbers = {
        "new": changes.new,
        "gone": changes.gone,
        "rewritten": changes.rewritten,
        "on another side": changes.moved,
    }
    told = ", ".join(f"{len(found):,} {word}" for word, found in numbers.items() if found)
    return Topic("Documents", "changed", f"{told}, {changes.num_same:,} the same ({sides})", details)


def questions(was: Side, now: Side) -> Iterator[Topic]:
    """The conversations that models were taught by; nothing where there are none."""
    before, after = was.taught, now.taught
    if before is None and after is None:
        return
    numbers = [{side: _asked(made, side) for side in SIDES} for made in (before, after)]
    told = ", ".join(_change(side, numbers[0][side], numbers[1][side]) for side in SIDES)
    if before and after and before.digest == after.digest:
        yield Topic("Questions", "same", f"the same, byte for byte ({told})")
        return
    if was.asked is None or now.asked is None:
        yield Topic("Questions", "changed", told)
        return
    one, other = ({digest: side for side in each for digest in each[side]} for each in (was.asked, now.asked))
    kept = one.keys() & other.keys()
    counts = {
        "new": len(other) - len(kept),
        "gone": len(one) - len(kept),
        "on another side": sum(one[digest] != other[digest] for digest in kept),
        "the same": sum(one[digest] == other[digest] for digest in kept),
    }
    own = ", ".join(f"{number:,} {word}" for word, number in counts.items() if number)
    yield Topic("Questions", "changed", f"{told}; of your own {own or 'none'}")


def _asked(made: Manifest | None, side: str) -> int:
    return int(made.facts.get(f"{side}_conversations", 0)) if made else 0


def _counts(was: Sequence[SeenDocument], now: Sequence[SeenDocument]) -> str:
    """`train 51 -> 52, validation 7, test 9 -> 10`."""
    told = []
    for side in SIDES:
        before, after = (sum(each.side == side for each in documents) for documents in (was, now))
        told.append(_change(side, before, after))
    return ", ".join(told)


def _change(side: str, before: int, after: int) -> str:
    return f"{side} {before:,}" + (f" -> {after:,}" if before != after else "")


def _place(each: SeenDocument) -> str:
    title = f" “{each.title}”" if each.title else ""
    return f"{each.source}/{each.file}:{each.line}{title}"


def _sides(one: SeenDocument, other: SeenDocument) -> str:
    return one.side if one.side == other.side else f"{one.side} -> {other.side}"
