"""How well a tokenizer compresses: bytes per token and tokens per word, by side and source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmcore.tokenizers.texts import SIDES, count_documents, read_batches
from lmcore.tokenizers.tokenizer import Tokenizer


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
    corpus: Path, tokenizer: Tokenizer, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Encode every side and count.

    Bytes per token says how many times shorter the text is in tokens than in bytes, the tokenizer of
    vocabulary 256 that costs nothing; the unused share of the vocabulary are rows of an embedding that the
    train side never trains (control tokens left aside).
    """
    tallies: dict[str, dict[str, Tally]] = {side: defaultdict(Tally) for side in SIDES}
    used = np.zeros(tokenizer.vocab_size, dtype=bool)
    done, total = 0, sum(count_documents(corpus, side) for side in SIDES)
    for side in SIDES:
        for batch in read_batches(corpus, side, ("source", "text")):
            row, lengths = tokenizer.encode_documents(batch["text"])
            for source, text, length in zip(batch["source"], batch["text"], lengths.tolist(), strict=True):
                tallies[side][source].add(text, length - 1)  # without the end of text
            if side == "train":
                used[row] = True
            done += len(lengths)
            if progress:
                progress(done, total)
    used[list(tokenizer.control_ids.values())] = False
    learned = tokenizer.vocab_size - len(tokenizer.control_ids)
    return {
        "vocab_size": tokenizer.vocab_size,
        "unused_vocabulary_share": round(1 - float(used.sum()) / learned, 6),
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
