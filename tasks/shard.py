"""A corpus and a tokenizer become token shards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmcore.batching.settings import ShardsConfig
from lmcore.lineage import Facts
from tasks.artifacts import Corpus, Shards, Tokenizer
from tasks.engine.step import Build, Forecast, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["corpus"].size
    return Forecast(seconds=0.4 + size / 2e6, memory=6e7 + 2 * size, disk=1.45 * size)


@step(makes=Shards, forecast=_forecast)
def write_shards(
    build: Build, corpus: Corpus, tokenizer: Tokenizer, settings: ShardsConfig, *, name: str
) -> Facts:
    """Encode every side once and for all, with document boundaries, checksums and the tokenizer's digest."""
    from lmcore.batching import token_shards

    return token_shards.write_shards(
        build.path(corpus), build.path(tokenizer), build.folder, settings, build.progress
    )
