"""Where a journal's moves have left the aliases of a model, and who was champion before whom."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.tracking.journal import Entry

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
FIRST, REGISTERED, RELEASE, ROLLBACK, BY_HAND = "first", "registered", "release", "rollback", "by hand"


class Move(NamedTuple):
    """One alias, from a version to another; None: nobody has it."""

    alias: str
    before: int | None
    after: int | None


@dataclass
class Standing:
    """What the lines of a journal come to."""

    aliases: dict[str, int] = field(default_factory=dict)
    reigns: list[int] = field(default_factory=list)
    """Champions up to the present one. What was rolled back is not among them."""
    released: dict[int, Entry] = field(default_factory=dict)
    """Every version that ever was champion, and the line that last made it so."""
    digests: dict[int, str] = field(default_factory=dict)
    """Content digest of every version that is named."""

    @property
    def champion(self) -> int | None:
        return self.aliases.get(CHAMPION)

    def version_of(self, digest: str) -> int | None:
        """The (latest) number of a product."""
        return max((version for version, of in self.digests.items() if of == digest), default=None)

    def before_champion(self, there: Collection[int]) -> int | None:
        """What `lm rollback` goes back to: the last champion before this one that is still registered."""
        earlier = self.reigns[:-1] if self.champion else self.reigns
        others = (version for version in reversed(earlier) if version != self.champion)
        return next((version for version in others if version in there), None)

    def moves(self, cause: str, alias: str, to: int | None, there: Collection[int]) -> list[Move]:
        """All that moves when one alias does, in an order in which `champion` is right at every moment.

        Args:
            there: the versions that are registered.
        """
        wanted = {alias: to}
        if alias == CHAMPION:
            after = Standing({CHAMPION: to} if to else {}, succeed(self.reigns, cause, to))
            wanted = {PREVIOUS: after.before_champion(there), CHAMPION: to}
            if self.aliases.get(CHALLENGER) == to:
                wanted[CHALLENGER] = None
        moves = (Move(each, self.aliases.get(each), after) for each, after in wanted.items())
        return [move for move in moves if move.before != move.after]


def succeed(reigns: list[int], cause: str, to: int | None) -> list[int]:
    """The champions after one more move: a rollback leaves out what it goes back behind."""
    if to is None:
        return reigns[:-1]
    if cause != ROLLBACK:
        return [*reigns, to]
    earlier = reigns[:-1]
    last = max((place for place, version in enumerate(earlier) if version == to), default=len(earlier))
    return [*earlier[:last], to]


def moves_of(entry: Entry) -> list[Move]:
    """The moves that a line names."""
    return [Move(each["alias"], each["from"], each["to"]) for each in entry.facts["moves"]]


def standing(entries: Iterable[Entry]) -> Standing:
    """Play a journal. A move that was begun counts: the next command finishes it."""
    lines, now = list(entries), Standing()
    left = {line.facts["of"]: set(line.facts.get("left", ())) for line in lines if line.kind == "done"}
    for line in lines:
        if line.kind == "move":
            _play(now, line, [move for move in moves_of(line) if move.alias not in left.get(line.id, ())])
    return now


def _play(now: Standing, line: Entry, moves: list[Move]) -> None:
    now.digests |= {int(version): digest for version, digest in line.facts.get("digests", {}).items()}
    # The champion first: what is `previous` is judged by who reigns then.
    for move in sorted(moves, key=lambda each: each.alias != CHAMPION):
        if move.after is None:
            now.aliases.pop(move.alias, None)
        else:
            now.aliases[move.alias] = move.after
        if move.alias == CHAMPION:
            now.reigns = succeed(now.reigns, line.facts["cause"], move.after)
            if move.after is not None:
                now.released[move.after] = line
        elif move.alias == PREVIOUS and line.facts["cause"] == BY_HAND:
            _put_before(now.reigns, move.after)


def _put_before(reigns: list[int], version: int | None) -> None:
    """Somebody has said what comes before the champion."""
    if len(reigns) > 1:
        reigns[-2:-1] = [] if version is None else [version]
    elif version is not None:
        reigns.insert(0, version)
