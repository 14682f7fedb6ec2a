"""What two models scored on the same documents, and the numbers that a verdict begins with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lmcore.evaluate.bootstrap import paired_difference

Floats = NDArray[np.float64]
Kind = Literal["nats", "marks"]
FILE = "documents.parquet"


@dataclass(frozen=True)
class PairedScores:
    """A row per document, sorted by digest; rows of all columns go together."""

    kind: Kind
    """nats: lower is better, weights are bytes. marks: higher is better, weights are what they could be."""
    digests: Sequence[str]
    sources: Sequence[str]
    families: Sequence[str]
    """Documents of one family are alike, and count as one."""
    weights: Floats
    """(N,)"""
    champion: Floats | None
    """(N,); None: nobody serves yet."""
    challenger: Floats
    """(N,)"""
    is_older: NDArray[np.bool_]
    """Which documents the champion's own held-out side had, (N,)."""

    @property
    def num_unlike(self) -> int:
        """Documents that are not alike: what a test counts."""
        return len(set(self.families))

    def only(self, rows: NDArray[np.bool_]) -> PairedScores:
        """The documents that are marked."""
        places = np.flatnonzero(rows).tolist()

        def pick(column: Sequence[str]) -> list[str]:
            return [column[at] for at in places]

        return PairedScores(
            self.kind,
            pick(self.digests),
            pick(self.sources),
            pick(self.families),
            self.weights[rows],
            None if self.champion is None else self.champion[rows],
            self.challenger[rows],
            self.is_older[rows],
        )

    @property
    def num_effective(self) -> float:
        """How many documents of equal size would weigh as evenly: (sum w)^2 / sum w^2 (Kish 1965)."""
        weights = self._by_family(self.weights)
        return float(weights.sum() ** 2 / np.square(weights).sum()) if weights.any() else 0.0

    @property
    def older(self) -> PairedScores:
        """The documents that the champion's own held-out side had."""
        return self.only(self.is_older)

    def score(self, name: Literal["champion", "challenger"]) -> float | None:
        """Bits per byte, or the mean mark; None without documents, or where a score is not finite."""
        given, total = getattr(self, name), float(self.weights.sum())
        if given is None or not total or not np.isfinite(given).all():
            return None
        return float(self._in_units(given).sum()) / total

    def losses(self, tolerated: float = 0.0) -> tuple[Floats, Floats]:
        """How much worse the challenger is, and the weight, of each family, (F,) each; below 0 it is better.

        Bits or marks, after it was given `tolerated` as a share of the champion's score:
        c - (1 + tolerated) m of bits, (1 - tolerated) m - c of marks.
        """
        assert self.champion is not None
        ours, theirs = self._in_units(self.challenger), self._in_units(self.champion)
        sign = 1 if self.kind == "nats" else -1
        losses = sign * (ours - theirs) - tolerated * theirs
        return self._by_family(losses), self._by_family(self.weights)

    def summary(self) -> dict[str, Any]:
        """Counts, scores and the difference (challenger less champion) with its 95 % interval."""
        told: dict[str, Any] = {
            "documents": len(self.digests),
            "unlike": self.num_unlike,
            "effective": self.num_effective,
            "weight": float(self.weights.sum()),
            "champion": self.score("champion"),
            "challenger": self.score("challenger"),
        }
        if told["champion"] is not None and told["challenger"] is not None:
            losses, weights = self.losses()
            sign = 1 if self.kind == "nats" else -1
            told["difference"] = paired_difference(sign * losses, 0 * losses, weights)._asdict()
        return told

    def _by_family(self, values: Floats) -> Floats:
        places = np.unique(np.asarray(self.families, dtype=str), return_inverse=True)[1]
        return np.bincount(places, weights=values).astype(np.float64)

    def _in_units(self, given: Floats) -> Floats:
        return given / math.log(2) if self.kind == "nats" else given


def write_scores(scores: PairedScores, folder: Path) -> None:
    """Write `documents.parquet`: digest, source, family, is_older, and what the models scored.

    That is bytes, champion_nats and challenger_nats, or weight, champion_marks and challenger_marks.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    nobody = [None] * len(scores.digests)
    table = pa.table(
        {
            "digest": pa.array(scores.digests, pa.string()),
            "source": pa.array(scores.sources, pa.string()),
            "family": pa.array(scores.families, pa.string()),
            _weight(scores.kind): pa.array(scores.weights, pa.float64()),
            f"champion_{scores.kind}": pa.array(
                nobody if scores.champion is None else scores.champion, pa.float64()
            ),
            f"challenger_{scores.kind}": pa.array(scores.challenger, pa.float64()),
            "is_older": pa.array(scores.is_older, pa.bool_()),
        }
    )
    pq.write_table(table, folder / FILE, compression="zstd", row_group_size=65_536)


def read_scores(folder: Path, kind: Kind, *, has_champion: bool) -> PairedScores:
    """What `write_scores` wrote.

    Raises:
        ValueError: there is no such file, or it lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = (_weight(kind), f"champion_{kind}", f"challenger_{kind}")
    names = ("digest", "source", "family", *numbers, "is_older")
    try:
        columns = pq.read_table(folder / FILE, columns=list(names)).to_pydict()
        weights, champion, challenger = (np.array(columns[name], dtype=np.float64) for name in numbers)
        digests, sources, families = (columns[name] for name in names[:3])
    except (OSError, pa.ArrowInvalid, KeyError):
        raise ValueError(f"{folder} has no readable {FILE}; expected the folder of a challenge") from None
    older = np.array(columns["is_older"], dtype=np.bool_)
    given = champion if has_champion else None
    return PairedScores(kind, digests, sources, families, weights, given, challenger, older)


def _weight(kind: Kind) -> str:
    return "bytes" if kind == "nats" else "weight"
