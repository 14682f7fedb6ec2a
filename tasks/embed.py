"""Words and documents of a corpus become vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmcore.corpus.analysis.settings import SkipGramConfig
from lmcore.lineage import Facts
from tasks.artifacts import Corpus, Embeddings
from tasks.engine.step import Build, Forecast, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    settings, size = arguments["settings"], arguments["corpus"].size
    words = size / WORD_BYTES
    vectors = 4 * settings.width * (0.01 * words + 1e4)
    seconds = 2 + words * (2e-6 + settings.epochs * 5e-6 * settings.window / 5)
    return Forecast(seconds=seconds, memory=2e8 + 40 * words + 2 * vectors, disk=vectors)


WORD_BYTES = 2.1
"""Of a corpus, compressed, for each word of its train side."""


@step(makes=Embeddings, forecast=_forecast, cores=lambda _: 1)
def embed_words(build: Build, corpus: Corpus, settings: SkipGramConfig, *, name: str) -> Facts:
    """Learn a vector for each word of the train side, and from these one for each document."""
    from lmcore.corpus.analysis.embeddings import embed_corpus

    def tell(done: int, total: int, loss: float) -> None:
        build.progress(done, total, loss=f"{loss:.3f}")
        build.metrics([{"name": "loss", "value": loss, "step": done}])

    return embed_corpus(build.path(corpus), build.folder, settings, tell)
