"""Byte-level byte-pair encoding (Sennrich et al. 2016, Radford et al. 2019): texts in, tokenizer.json out.

Bytes are the alphabet, so that any text encodes and nothing is unknown. The pair that occurs most often is
merged first; among pairs that occur equally often the one with the smaller ids. Control tokens have the first
ids, then come the bytes in the order of the letters that stand for them, then what was merged.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models

from lmcore.tokenizers import patterns
from lmcore.tokenizers.byte_letters import LETTERS, spell
from lmcore.tokenizers.control import CONTROL_TOKENS
from lmcore.tokenizers.merging import Merged, learn
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
    in_order = sorted(range(256), key=lambda byte: LETTERS[byte])
    byte_ids = np.zeros(256, dtype=np.int32)
    byte_ids[in_order] = np.arange(256) + len(CONTROL_TOKENS)
    tokens = [*(name.encode() for name in CONTROL_TOKENS), *(bytes([byte]) for byte in in_order)]
    with tempfile.TemporaryDirectory(dir=scratch, prefix="counts-") as folder:
        counts = PieceCounts(config.pre_tokenizer, Path(folder), config.memory_bytes // 4)
        counts.count(texts)
        stream = Stream(counts.totals(), byte_ids, Path(folder), config.memory_bytes)
        merged = learn(stream, tokens, config.vocab_size, config.min_frequency)
    _check(merged, config)
    return _document(merged, config)


def _document(merged: Merged, config: TokenizerConfig) -> dict[str, Any]:
    spelled = [*CONTROL_TOKENS, *(spell(token) for token in merged.tokens[len(CONTROL_TOKENS) :])]
    backend = Tokenizer(
        models.BPE(
            vocab={token: number for number, token in enumerate(spelled)},
            merges=[(spelled[left], spelled[right]) for left, right in merged.merges],
        )
    )
    backend.pre_tokenizer = patterns.pre_tokenizer(config.pre_tokenizer)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in CONTROL_TOKENS])
    document: dict[str, Any] = json.loads(backend.to_str())
    return document


def _check(merged: Merged, config: TokenizerConfig) -> None:
    names = {name.encode() for name in CONTROL_TOKENS}
    if forged := names.intersection(merged.tokens[len(names) :]):
        raise TokenizerError(
            f"the corpus spells {min(forged).decode()} so often that it was learned as a word: "
            "remove it from the text"
        )
    reached = len(merged.tokens)
    if reached < config.vocab_size:
        raise TokenizerError(
            f"the corpus is too small for vocab_size {config.vocab_size}: it gives {reached} tokens with "
            f"min_frequency {config.min_frequency}; add text, or set vocab_size to {reached} or less"
        )
