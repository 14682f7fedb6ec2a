"""Documents by models: scores, differences to a reference and verdicts, overall and by source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lmcore.batching.shard_index import DocumentSpan
from lmcore.evaluate.bootstrap import Interval, bootstrap_ratio
from lmcore.evaluate.verdict import Verdict, judge

Floats = NDArray[np.float64]
BySource = dict[str, Interval]

ALL = "all"
"""What all sources together are called beside each of them; no source may have that name."""


@dataclass(frozen=True)
class ComparisonTable:
    """What each document cost each model."""

    spans: Sequence[DocumentSpan]
    nats: dict[str, Floats]
    """(N,) for each model, in the order in which they are shown."""
    reference: str
    dials: dict[str, int]
    """num_resamples and seed of the bootstrap."""

    def report(self) -> dict[str, Any]:
        """Scores, differences (model minus reference) and verdicts, each by model and then by source."""
        return {
            "reference": self.reference,
            "order": list(self.nats),
            "documents": {group: int(rows.sum()) for group, rows in self._groups.items()},
            "models": {
                name: {group: {"bits_per_byte": score._asdict()} for group, score in scores.items()}
                for name, scores in self.scores.items()
            },
            "differences": {
                name: {group: difference._asdict() for group, difference in differences.items()}
                for name, differences in self.differences.items()
            },
            "verdicts": {
                name: {group: _told(self._verdict(name, group)) for group in differences}
                for name, differences in self.differences.items()
            },
            "interval": "95 % over documents, not seeds of training: percentile bootstrap, "
            f"{self.dials['num_resamples']} draws; differences are paired by document. Each interval stands "
            f"alone: the best of {len(self.nats)} models looks better here than on other documents.",
        }

    @cached_property
    def scores(self) -> dict[str, BySource]:
        """Bits per byte of each model."""
        return {name: self._by_source(bits) for name, bits in self._bits.items()}

    @cached_property
    def differences(self) -> dict[str, BySource]:
        """Bits per byte of each other model less those of the reference: below 0 it is better."""
        theirs = self._bits[self.reference]
        return {
            name: self._by_source(bits - theirs)  # paired: what is hard for both falls out
            for name, bits in self._bits.items()
            if name != self.reference
        }

    def facts(self) -> dict[str, int | float | str]:
        """The scores in one flat list."""
        values = {name: scores[ALL].value for name, scores in self.scores.items()}
        differences = {name: by_source[ALL].value for name, by_source in self.differences.items()}
        return {
            "documents": len(self.spans),
            "tokens": sum(span.num_tokens for span in self.spans),
            "bytes": sum(span.num_bytes for span in self.spans),
            "reference": self.reference,
            "best": min(values, key=lambda name: values[name]),
            **{f"{name}_bits_per_byte": value for name, value in values.items()},
            **{f"{name}_minus_reference": value for name, value in differences.items()},
        }

    def write(self, path: Path) -> None:
        """A row per document and model, in the order of the shards and of the models."""
        models = list(self.nats)
        nats = np.array(list(self.nats.values())).T  # (N, M)
        rates = nats / math.log(2) / np.maximum(self._bytes, 1)[:, None]
        told = ("id", "source", "file", "line", "digest", "title", "num_tokens", "num_bytes")
        columns: dict[str, Any] = {
            field.removeprefix("num_"): [getattr(span, field) for span in self.spans for _ in models]
            for field in told
        }
        columns |= {
            "model": models * len(self.spans),
            "nats": nats.ravel(),
            "bits_per_byte": rates.ravel(),
            "minus_reference": (rates - rates[:, [models.index(self.reference)]]).ravel(),
        }
        pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=65_536)

    def _verdict(self, model: str, group: str) -> Verdict:
        scores = [self.scores[name][group].value for name in (model, self.reference)]
        return judge(self.differences[model][group], scores, int(self._groups[group].sum()))

    def _by_source(self, bits: Floats) -> BySource:
        return {
            group: bootstrap_ratio(bits[rows], self._bytes[rows], **self.dials)
            for group, rows in self._groups.items()
        }

    @cached_property
    def _groups(self) -> dict[str, NDArray[np.bool_]]:
        """Which documents belong to all and to each source, (N,)."""
        sources = np.array([span.source for span in self.spans])
        by_source = {name: sources == name for name in sorted(set(sources.tolist()))}
        return {ALL: np.ones(len(sources), dtype=bool), **by_source}

    @cached_property
    def _bits(self) -> dict[str, Floats]:
        return {name: nats / math.log(2) for name, nats in self.nats.items()}

    @cached_property
    def _bytes(self) -> Floats:
        """UTF-8 bytes of each document, (N,)."""
        return np.array([span.num_bytes for span in self.spans], dtype=np.float64)


def _told(verdict: Verdict) -> dict[str, Any]:
    return {name: getattr(verdict, name) for name in ("word", "sentence", "documents_needed")}
