"""From nats per document to scores with intervals, overall and by source, beside the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lmcore.batching.shard_index import DocumentSpan
from lmcore.evaluate.bootstrap import Interval, bootstrap_ratio, paired_difference

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """What each document cost the model and the baseline, in nats; rows go together."""

    spans: Sequence[DocumentSpan]
    nats: Floats
    """(N,)"""
    unigram_nats: Floats
    """(N,)"""
    num_resamples: int = 1000
    seed: int = 0

    @property
    def tokens(self) -> Floats:
        """Tokens that were scored, (N,); the end-of-text token behind each document is one of them."""
        return np.array([span.num_tokens for span in self.spans], dtype=np.float64)

    @property
    def bytes(self) -> Floats:
        """UTF-8 bytes of the text, (N,)."""
        return np.array([span.num_bytes for span in self.spans], dtype=np.float64)

    def only(self, source: str) -> Scored:
        """The documents of one source."""
        rows = [row for row, span in enumerate(self.spans) if span.source == source]
        spans = [self.spans[row] for row in rows]
        return Scored(spans, self.nats[rows], self.unigram_nats[rows], self.num_resamples, self.seed)

    def summary(self) -> dict[str, Any]:
        """Counts, and bits per byte and perplexity of model and baseline with 95 % intervals."""
        return {
            "documents": len(self.spans),
            "tokens": int(self.tokens.sum()),
            "bytes": int(self.bytes.sum()),
            "model": self._scores(self.nats),
            "unigram": self._scores(self.unigram_nats),
            "model_minus_unigram": {"bits_per_byte": _entry(self._difference())},
        }

    def _scores(self, nats: Floats) -> dict[str, Any]:
        dials: dict[str, int] = {"num_resamples": self.num_resamples, "seed": self.seed}
        bits = bootstrap_ratio(nats / math.log(2), self.bytes, **dials)
        per_token = bootstrap_ratio(nats, self.tokens, **dials)
        return {
            "bits_per_byte": _entry(bits),
            "nats_per_token": _entry(per_token),
            "perplexity": _entry(per_token.map(math.exp)),
        }

    def _difference(self) -> Interval:
        """Below 0 where the model is better."""
        return paired_difference(
            self.nats / math.log(2),
            self.unigram_nats / math.log(2),
            self.bytes,
            num_resamples=self.num_resamples,
            seed=self.seed,
        )


def summarize(scored: Scored) -> dict[str, Any]:
    """The summary of all documents, and one of each source."""
    sources = sorted({span.source for span in scored.spans})
    return {
        **scored.summary(),
        "sources": {source: scored.only(source).summary() for source in sources},
    }


def write_documents(scored: Scored, path: Path) -> None:
    """One row per document, the one with the most bits per byte first."""
    columns = {
        "id": [span.id for span in scored.spans],
        "source": [span.source for span in scored.spans],
        "file": [span.file for span in scored.spans],
        "line": [span.line for span in scored.spans],
        "digest": [span.digest for span in scored.spans],
        "title": [span.title for span in scored.spans],
        "tokens": [span.num_tokens for span in scored.spans],
        "bytes": [span.num_bytes for span in scored.spans],
        "nats": scored.nats,
        "unigram_nats": scored.unigram_nats,
        "bits_per_byte": scored.nats / math.log(2) / np.maximum(scored.bytes, 1),
        "perplexity": np.exp(scored.nats / scored.tokens),
    }
    table = pa.table(columns).sort_by([("bits_per_byte", "descending"), ("id", "ascending")])
    pq.write_table(table, path, compression="zstd", row_group_size=65_536)


def _entry(interval: Interval) -> dict[str, float | None]:
    return dict(interval._asdict())
