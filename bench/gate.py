"""A year of weekly retraining before the gate: how often it promotes what is no better, what it takes to win.

    python bench/gate.py REPORT ...     folders that `compare_models` wrote, see `lm build_assistant`

A challenger differs from its champion as two real models of a report do, picked anew at each look. Their
difference on each document is centred, so that neither is better, and documents are drawn from the real ones.
`by source`: neither is better on any source, and each source has its share of the documents, as a split holds
them out. `overall`: one may be better on one source and the other on another, and how many documents of each
there are is chance; no split does that, it is the hardest that could happen. `plain` is the sign-flip test
without the documents that `sign_flip` thinks of. Fresh documents at each look give noise more chances in a
year than one test set does that grows.

Ends in an error where a share is above the promised one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.stats import binomtest

from lmcore.evaluate.settings import GateConfig
from lmcore.evaluate.sign_flip import ADVERSE, documents_to_tell, sign_flip

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
SETTINGS = GateConfig()
DRAWS = math.ceil(10 / SETTINGS.error_per_look)
"""As few as the settings allow: fewer are as valid, and find a little less."""
FAR = -2.5
"""Sums above so many standard deviations are not worth a test: their p-value is above 0.003."""
YEARS, TRIALS = 700, 150
FRESH, GROWING = ((36, 0), (72, 0), (200, 0)), ((40, 3),)
"""Documents, and how many more a week; none more: fresh ones at each look."""


class Pair(NamedTuple):
    """Two real models on the documents of a report, (N,), as if neither were better."""

    bits: Floats
    """Challenger less champion."""
    bytes: Floats
    score: float
    """The champion's bits per byte."""
    groups: list[Places]
    """Which documents are drawn from apart."""


def read_pairs(report: Path, is_by_source: bool) -> list[Pair]:
    table = pq.read_table(report / "documents.parquet", columns=["source", "bytes", "model", "nats"])
    columns = {name: np.array(values) for name, values in table.to_pydict().items()}
    models = list(dict.fromkeys(columns["model"].tolist()))
    rows = [columns["model"] == model for model in models]
    bits = [columns["nats"][row] / math.log(2) for row in rows]
    sizes = columns["bytes"][rows[0]].astype(np.float64)
    sources = columns["source"][rows[0]] if is_by_source else np.zeros(len(sizes))
    groups = [np.flatnonzero(sources == name) for name in np.unique(sources)]
    return [
        Pair(centre(ours - theirs, sizes, groups), sizes, theirs.sum() / sizes.sum(), groups)
        for ours, theirs in permutations(bits, 2)
    ]


def centre(bits: Floats, sizes: Floats, groups: Sequence[Places]) -> Floats:
    """The same without a difference in bits per byte on any of the groups."""
    for group in groups:
        bits[group] -= sizes[group] * bits[group].sum() / sizes[group].sum()
    return bits


def draw(pair: Pair, documents: int, random: np.random.RandomState) -> Places:
    """So many documents, each as often as chance has it, in an order of chance."""
    total = len(pair.bytes)
    ends = [
        round(documents * sum(map(len, pair.groups[: end + 1])) / total) for end in range(len(pair.groups))
    ]
    drawn = [
        group[random.randint(len(group), size=end - begin)]
        for group, begin, end in zip(pair.groups, [0, *ends], ends, strict=False)
    ]
    return random.permutation(np.concatenate(drawn))


def is_passed(bits: Floats, sizes: Floats, adverse: int = ADVERSE) -> bool:
    """Whether the target test of a look is passed."""
    if bits.sum() > FAR * math.sqrt(np.square(bits).sum()):
        return False
    return sign_flip(bits, sizes, num_draws=DRAWS, adverse=adverse) <= SETTINGS.error_per_look


def looks(
    pairs: Sequence[Pair], documents: int, growth: int, random: np.random.RandomState
) -> Iterator[tuple[Floats, Floats]]:
    """The differences and bytes that each look of a year sees; a growing test set is one of one report."""
    if growth:
        report = pairs[random.randint(len(pairs))].groups
        pairs = [pair for pair in pairs if pair.groups is report]
        kept = draw(pairs[0], documents + growth * SETTINGS.looks, random)
    for look in range(SETTINGS.looks):
        pair = pairs[random.randint(len(pairs))]
        drawn = kept[: documents + growth * look] if growth else draw(pair, documents, random)
        yield pair.bits[drawn], pair.bytes[drawn]


def wrong_years(pairs: Sequence[Pair], documents: int, growth: int) -> list[int]:
    """Of `YEARS`, those with a wrong promotion, by the gate and by plain sign flips."""
    random = np.random.RandomState(0)
    wrong = [0, 0]
    for _ in range(YEARS):
        year = [False, False]
        for bits, sizes in looks(pairs, documents, growth, random):
            # What the gate lets pass, plain sign flips let pass as well.
            year[1] = year[1] or is_passed(bits, sizes, adverse=0)
            year[0] = year[0] or is_passed(bits, sizes)
        wrong = [before + now for before, now in zip(wrong, year, strict=True)]
    return wrong


def finds(pairs: Sequence[Pair], gain: float, documents: int) -> bool:
    """Whether so many documents find a challenger that is better by that share, 8 times of 10."""
    random, found = np.random.RandomState(0), 0
    for _ in range(TRIALS):
        pair = pairs[random.randint(len(pairs))]
        drawn = draw(pair, documents, random)
        better = pair.bits[drawn] - gain * pair.score * pair.bytes[drawn]
        found += is_passed(better, pair.bytes[drawn])
    return found >= 0.8 * TRIALS


def least_documents(finds_gain: partial[bool], low: int, high: int = 3_000) -> int:
    """The least number of documents that finds it, to a twentieth of itself."""
    while high - low > max(1, low // 20):
        middle = max(low + 1, math.isqrt(low * high))  # the root of neighbours may be the lower one
        low, high = (low, middle) if finds_gain(middle) else (middle, high)
    return high


def share_stated(pairs: Sequence[Pair], gain: float, documents: int) -> tuple[float, float]:
    """Of the looks that cannot tell a true gain, how many name a number of documents; how often it tells.

    So many documents are drawn anew.
    """
    random = np.random.RandomState(1)
    named, told, unsure = 0, 0, 0
    while unsure < TRIALS:
        pair = pairs[random.randint(len(pairs))]
        better = pair.bits - gain * pair.score * pair.bytes
        drawn = draw(pair, documents, random)
        if is_passed(better[drawn], pair.bytes[drawn]):
            continue
        unsure += 1
        if number := documents_to_tell(better[drawn], pair.bytes[drawn], SETTINGS.error_per_look):
            drawn = draw(pair, number, random)
            named, told = named + 1, told + is_passed(better[drawn], pair.bytes[drawn])
    return named / unsure, told / max(named, 1)


def tell(wrong: int) -> str:
    low, high = binomtest(wrong, YEARS).proportion_ci()
    return f"{wrong / YEARS:.1%} ({low:.1%} to {high:.1%})"


def main() -> None:
    reports = [Path(each) for each in sys.argv[1:]]
    if not reports:
        raise SystemExit(__doc__)
    kinds = {
        name: [pair for report in reports for pair in read_pairs(report, is_by_source)]
        for name, is_by_source in (("by source", True), ("overall", False))
    }
    print(
        f"{SETTINGS.looks} looks a year, error rate {SETTINGS.error_rate:g} a year, "
        f"{len(kinds['overall'])} pairs of models, {YEARS} years each, 95 % intervals\n\n"
        f"{'years with a wrong promotion':39}{'the gate':>22}{'plain':>24}"
    )
    highest = 0.0
    for name, pairs in kinds.items():
        for documents, growth in (*FRESH, *GROWING):
            wrong = wrong_years(pairs, documents, growth)
            how = f"{documents} documents, {f'{growth} more a week' if growth else 'fresh'}"
            print(f"{name:10} {how:28}{tell(wrong[0]):>22}{tell(wrong[1]):>24}", flush=True)
            highest = max(highest, wrong[0] / YEARS)
    print("\ndocuments that find a true gain with probability 0.8")
    for name, pairs in kinds.items():
        for gain in (0.02, 0.01, 0.005):
            number = least_documents(partial(finds, pairs, gain), SETTINGS.min_documents - 1)
            print(f"{name:10} {gain:.1%} fewer bits per byte {number:>6}", flush=True)
    for name, pairs in kinds.items():
        named, told = share_stated(pairs, 0.005, 36)
        print(
            f"{name:10} of looks that cannot tell a gain of 0.5 % on 36 documents {named:.0%} name a number; "
            f"that many documents told it {told:.0%} of the time"
        )
    if highest > SETTINGS.error_rate:
        raise SystemExit(f"a share of {highest:.1%} is above the promised {SETTINGS.error_rate:.0%}")


if __name__ == "__main__":
    main()
