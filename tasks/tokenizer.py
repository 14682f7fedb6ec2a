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
    settings = arguments["settings"]
    return Forecast(
        seconds=0.7 + size / 3.5e6,
        memory=2e8 + min(30 * size, settings.memory_bytes),
        disk=50 * settings.vocab_size,
    )


@step(makes=Tokenizer, forecast=_forecast)
def train_tokenizer(build: Build, corpus: Corpus, settings: TokenizerConfig, *, name: str) -> Facts:
    """Learn a vocabulary from the train side and report how well it compresses each source."""
    from lmcore.tokenizers import training

    return training.train_tokenizer(build.path(corpus), build.folder, settings, build.progress)
