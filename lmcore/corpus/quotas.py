"""How many documents of each source are held out, and which families make up that number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from lmcore.corpus.ledger import Side
from lmcore.corpus.settings import SplitConfig

HELD_OUT: tuple[Side, ...] = ("test", "validation")

Counts = Counter[tuple[str, Side]]


class Family(NamedTuple):
    """New documents that go to one side together."""

    name: str
    sources: Counter[str]
    """How many of them come from each source."""

    @property
    def source(self) -> str:
        """The source that it counts for: the one that most of it comes from, then the first by name."""
        return min(self.sources, key=lambda source: (-self.sources[source], source))


def fill_quotas(
    families: Iterable[Family], counts: Counts, totals: Mapping[str, int], config: SplitConfig
) -> dict[str, Side]:
    """The side of each family, such that each source holds out its shares.

    Within a source, families are taken in the order of sha256(seed, name). One that still fits into the quota
    of test goes there, else one that fits into validation goes there; the rest trains. A source with three
    families or more has one on each side whose share is above 0, even if it is larger than the quota.

    Args:
        counts: documents that have a side already, by source and side.
        totals: all documents, by source.
    """
    counts = Counter(counts)
    sides: dict[str, Side] = {}
    shares = {"test": config.test_share, "validation": config.validation_share}
    by_source: dict[str, list[Family]] = {}
    for family in sorted(families, key=lambda family: _order(family.name, config.seed)):
        by_source.setdefault(family.source, []).append(family)
    for source in sorted(by_source):
        quotas = {
            side: max(1, round(shares[side] * totals[source])) if shares[side] else 0 for side in HELD_OUT
        }
        sides |= _fill(source, by_source[source], quotas, counts)
    return sides


def _fill(
    source: str, families: Sequence[Family], quotas: Mapping[Side, int], counts: Counts
) -> dict[str, Side]:
    """Place the families of one source, and count them."""
    sides: dict[str, Side] = {}
    waiting = list(families)

    def place(family: Family, side: Side) -> None:
        waiting.remove(family)
        sides[family.name] = side
        counts.update({(name, side): count for name, count in family.sources.items()})

    wanting = [side for side in ("train", *HELD_OUT) if quotas.get(side, 1) and not counts[source, side]]
    for side in wanting[: len(waiting)]:  # too few families: first of all something to train on
        place(_first_for(side, source, waiting, quotas), side)
    for family in list(waiting):
        room = (side for side in HELD_OUT if counts[source, side] + family.sources[source] <= quotas[side])
        place(family, next(room, "train"))
    return sides


def _first_for(side: Side, source: str, waiting: Sequence[Family], quotas: Mapping[Side, int]) -> Family:
    """The family that opens a side: the last for training; the first that fits a quota, else the smallest."""
    if side == "train":
        return waiting[-1]
    fitting = (family for family in waiting if family.sources[source] <= quotas[side])
    return next(fitting, min(waiting, key=lambda family: family.sources[source]))


def _order(name: str, seed: int) -> tuple[str, str]:
    return sha256(f"{seed}:{name}".encode()).hexdigest(), name
