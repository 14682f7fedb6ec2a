"""Two reports on the same documents in, one word out: better, worse, or cannot tell."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from lmcore.evaluate.bootstrap import Interval, paired_difference

COMPARABLE = ("side", "prefix", "scored", "bits_per_byte")
"""What must be equal in two definitions; context and stride belong to the model and are told."""


class Verdict(NamedTuple):
    """How a model compares with another in bits per byte."""

    word: Literal["better", "worse", "cannot tell"]
    difference: Interval
    """Bits per byte of the first less the second: below 0 the first is better."""
    documents: int
    documents_needed: int | None
    """About how many documents would tell, where these do not."""
    sentence: str


def compare_reports(first: Path, second: Path, *, num_resamples: int = 1000, seed: int = 0) -> Verdict:
    """Compare two folders that `evaluate_model` wrote, document by document.

    The models may have different tokenizers. The interval covers the choice of documents alone: two training
    runs of one recipe differ, too, and only several seeds of each can tell the recipes apart.

    Raises:
        ValueError: the reports are on different documents, or measure another thing.
    """
    _check_definitions(first, second)
    ours, theirs = _read_nats(first), _read_nats(second)
    if {digest: row[1] for digest, row in ours.items()} != {digest: row[1] for digest, row in theirs.items()}:
        common = len(set(ours) & set(theirs))
        raise ValueError(
            f"{first} scores {len(ours)} documents, {second} {len(theirs)}, {common} of them the same: "
            "evaluate both models on the same shards' corpus"
        )
    digests = sorted(ours)
    our_bits, their_bits = (
        np.array([rows[digest][0] for digest in digests]) / math.log(2) for rows in (ours, theirs)
    )
    num_bytes = np.array([ours[digest][1] for digest in digests])
    difference = paired_difference(our_bits, their_bits, num_bytes, num_resamples=num_resamples, seed=seed)
    scores = [float(bits.sum() / num_bytes.sum()) for bits in (our_bits, their_bits)]
    return judge(difference, scores, len(digests))


def judge(difference: Interval, scores: Sequence[float], documents: int) -> Verdict:
    """What the difference of two scores in bits per byte, and its interval over documents, allow to say."""
    value, low, high = difference
    told = f"{scores[0]:.4f} against {scores[1]:.4f} bits per byte"
    if low is None or high is None:
        return Verdict(
            "cannot tell", difference, documents, None, f"cannot tell: {told} on one document alone"
        )
    over = f"{value:+.4f}, 95 % {low:+.4f} to {high:+.4f} over {documents} documents, one training run each"
    if high < 0 or low > 0:
        word: Literal["better", "worse"] = "better" if high < 0 else "worse"
        return Verdict(word, difference, documents, None, f"{word}: {told} ({over})")
    if value == 0:
        return Verdict("cannot tell", difference, documents, None, f"cannot tell: {told} ({over})")
    # The interval narrows with the root of the number of documents, until it leaves 0 out.
    needed = math.ceil(documents * ((high - low) / 2 / abs(value)) ** 2)
    sentence = f"cannot tell: {told} ({over}); needs about {max(needed, documents + 1)} documents"
    return Verdict("cannot tell", difference, documents, max(needed, documents + 1), sentence)


def _check_definitions(first: Path, second: Path) -> None:
    definitions = [_definition(folder) for folder in (first, second)]
    for name in COMPARABLE:
        values = [definition.get(name) for definition in definitions]
        if values[0] != values[1]:
            raise ValueError(
                f"{first} and {second} do not compare: {name} is {values[0]!r} and {values[1]!r}; "
                "evaluate both with the same settings"
            )


def _definition(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "scores.json").read_bytes())["definition"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            f"{folder} has no readable scores.json: expected a report of an evaluation"
        ) from None


def _read_nats(folder: Path) -> dict[str, tuple[float, int]]:
    """Nats and bytes of each document, by the digest of its text."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "documents.parquet", columns=["digest", "nats", "bytes"]).to_pydict()
    rows = zip(table["nats"], table["bytes"], strict=True)
    return dict(zip(table["digest"], rows, strict=True))
