"""How well a tokenizer compresses: bytes per token and tokens per word, by side and source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmcore.tokenizers.references import open_reference
from lmcore.tokenizers.settings import ReferenceConfig
from lmcore.tokenizers.texts import SIDES, count_documents, read_batches
from lmcore.tokenizers.tokenizer import Tokenizer

Progress = Callable[[int, int], None]


@dataclass
class Tally:
    """Counts over some documents; a word is what stands between white space."""

    documents: int = 0
    bytes: int = 0
    words: int = 0
    tokens: int = 0

    def add(self, text: str, num_tokens: int) -> None:
        """One document more."""
        self.documents += 1
        self.bytes += len(text.encode())
        self.words += len(text.split())
        self.tokens += num_tokens

    def row(self) -> dict[str, int | float]:
        """The counts and their ratios; 0 where there is nothing to divide by."""
        return {
            **vars(self),
            "bytes_per_token": round(self.bytes / self.tokens, 6) if self.tokens else 0.0,
            "tokens_per_word": round(self.tokens / self.words, 6) if self.words else 0.0,
        }


def measure_compression(
    corpus: Path,
    tokenizer: Tokenizer,
    progress: Progress | None = None,
    compare_with: Sequence[ReferenceConfig] = (),
) -> dict[str, Any]:
    """Encode every side and count, also with vocabularies of others.

    Bytes per token says how many times shorter the text is in tokens than in bytes, the tokenizer of
    vocabulary 256 that costs nothing. Tokens per word are its fertility. The unused share of the vocabulary
    are rows of an embedding that the train side never trains (control tokens left aside).
    """
    used = np.zeros(tokenizer.vocab_size, dtype=bool)

    def lengths(texts: Sequence[str], side: str) -> NDArray[np.int64]:
        row, with_ends = tokenizer.encode_documents(texts)
        if side == "train":
            used[row] = True
        return with_ends - 1

    report: dict[str, Any] = {"vocab_size": tokenizer.vocab_size, **_measure(corpus, lengths, progress)}
    used[list(tokenizer.control_ids.values())] = False
    learned = tokenizer.vocab_size - len(tokenizer.control_ids)
    report["unused_vocabulary_share"] = round(1 - float(used.sum()) / learned, 6)
    if compare_with:
        report["references"] = {each.name: _measure_reference(corpus, each) for each in compare_with}
    return report


def _measure_reference(corpus: Path, config: ReferenceConfig) -> dict[str, Any]:
    reference = open_reference(config)
    measured = _measure(corpus, lambda texts, _: reference.lengths(texts))
    return {"vocab_size": reference.vocab_size, "sha256": reference.sha256, **measured}


def _measure(
    corpus: Path, lengths: Callable[[Sequence[str], str], NDArray[np.int64]], progress: Progress | None = None
) -> dict[str, Any]:
    """Rows by side, and by side and source."""
    tallies: dict[str, dict[str, Tally]] = {side: defaultdict(Tally) for side in SIDES}
    done, total = 0, sum(count_documents(corpus, side) for side in SIDES)
    for side in SIDES:
        for batch in read_batches(corpus, side, ("source", "text")):
            counted = lengths(batch["text"], side).tolist()
            for source, text, length in zip(batch["source"], batch["text"], counted, strict=True):
                tallies[side][source].add(text, length)
            done += len(counted)
            if progress:
                progress(done, total)
    return {
        "sides": {side: _sum(by_source).row() for side, by_source in tallies.items() if by_source},
        "sources": {
            side: {source: by_source[source].row() for source in sorted(by_source)}
            for side, by_source in tallies.items()
        },
    }


def _sum(tallies: dict[str, Tally]) -> Tally:
    total = Tally()
    for tally in tallies.values():
        for name, value in vars(tally).items():
            setattr(total, name, getattr(total, name) + value)
    return total
