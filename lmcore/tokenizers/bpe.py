"""Byte-level byte-pair encoding (Sennrich et al. 2016, Radford et al. 2019), learned with HF `tokenizers`.

Bytes are the alphabet, so that any text encodes and nothing is unknown. The pair that occurs most often is
merged first; among pairs that occur equally often the one with the smaller ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from lmcore.tokenizers import patterns
from lmcore.tokenizers.control import CONTROL_TOKENS
from lmcore.tokenizers.settings import TokenizerConfig
from lmcore.tokenizers.tokenizer import TokenizerError


def train(texts: Iterator[str], config: TokenizerConfig) -> dict[str, Any]:
    """Learn merges from texts; the content of tokenizer.json.

    The same texts in the same order give the same bytes, for any number of threads.

    Raises:
        TokenizerError: the texts run out of pairs to merge before the vocabulary is full.
    """
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = patterns.pre_tokenizer(config.pre_tokenizer)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=[AddedToken(name, special=True, normalized=False) for name in CONTROL_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer=trainer)
    document: dict[str, Any] = json.loads(backend.to_str())
    _check(document, config)
    return document


def _check(document: dict[str, Any], config: TokenizerConfig) -> None:
    reached = len(document["model"]["vocab"])
    if reached < config.vocab_size:
        raise TokenizerError(
            f"the corpus is too small for vocab_size {config.vocab_size}: it gives {reached} tokens with "
            f"min_frequency {config.min_frequency}; add text, or set vocab_size to {reached} or less"
        )
    spelled = {left + right for left, right in document["model"]["merges"]}
    if forged := spelled & set(CONTROL_TOKENS):
        raise TokenizerError(
            f"the corpus spells {min(forged)} so often that it was learned as a word: remove it from the text"
        )
