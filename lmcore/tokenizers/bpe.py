"""Byte-level byte-pair encoding (Sennrich et al. 2016, Radford et al. 2019): texts in, tokenizer.json out.

Bytes are the alphabet, so that any text encodes and nothing is unknown. The pair that occurs most often is
merged first; among pairs that occur equally often the one with the smaller ids. Control tokens have the first
ids, then come the bytes in the order of the letters that stand for them, then what was merged.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lmcore.tokenizers.control import CONTROL_TOKENS
from lmcore.tokenizers.document import BYTES_IN_ORDER, FIRST_TOKENS, write_document
from lmcore.tokenizers.merging import learn
from lmcore.tokenizers.piece_counts import PieceCounts
from lmcore.tokenizers.settings import TokenizerConfig
from lmcore.tokenizers.stream import Stream
from lmcore.tokenizers.tokenizer import TokenizerError


def train(texts: Iterator[str], config: TokenizerConfig, scratch: Path | None = None) -> dict[str, Any]:
    """Learn merges from texts; the content of tokenizer.json.

    The same texts in any order give the same bytes. What does not fit into `config.memory_bytes` goes to a
    folder in `scratch` meanwhile (the system's folder for temporary files without one).

    Raises:
        TokenizerError: the texts run out of pairs to merge before the vocabulary is full.
    """
    byte_ids = np.zeros(256, dtype=np.int32)
    byte_ids[BYTES_IN_ORDER] = np.arange(256) + len(CONTROL_TOKENS)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="counts-") as folder:
        counts = PieceCounts(config.pre_tokenizer, Path(folder), config.memory_bytes // 4)
        counts.count(texts)
        stream = Stream(counts.totals(), byte_ids, Path(folder), config.memory_bytes)
        merged = learn(stream, FIRST_TOKENS, config.vocab_size, config.min_frequency)
    reached = len(merged.tokens)
    if reached < config.vocab_size:
        raise TokenizerError(
            f"the corpus is too small for vocab_size {config.vocab_size}: it gives {reached} tokens with "
            f"min_frequency {config.min_frequency}; add text, or set vocab_size to {reached} or less"
        )
    return write_document(merged.tokens, config.pre_tokenizer, merged.merges)
