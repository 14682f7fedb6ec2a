"""A corpus becomes a vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmcore.lineage import Facts
from lmcore.tokenizers.settings import TokenizerConfig
from tasks.artifacts import Corpus, Tokenizer
from tasks.engine.step import Build, Forecast, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["corpus"].size
    vocab_size = arguments["settings"].vocab_size
    return Forecast(seconds=0.7 + size / 1.3e6, memory=1e8 + 30 * size, disk=50 * vocab_size)


@step(makes=Tokenizer, forecast=_forecast)
def train_tokenizer(build: Build, corpus: Corpus, settings: TokenizerConfig, *, name: str) -> Facts:
    """Learn byte-level BPE from the train side and report how well it compresses each source."""
    from lmcore.tokenizers import training

    return training.train_tokenizer(build.path(corpus), build.folder, settings, build.progress)
