"""A corpus in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmcore.lineage import Facts
from tasks.artifacts import Corpus, Report
from tasks.engine.step import Build, Forecast, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["corpus"].size
    return Forecast(seconds=0.5 + size / 4e6, memory=2e8 + 2 * size, disk=4e3)


@step(makes=Report, forecast=_forecast)
def describe_corpus(build: Build, corpus: Corpus, *, name: str) -> Facts:
    """Count documents, characters and words by source and side, and rejects by rule, in SQL."""
    from lmcore.corpus.statistics import describe

    return describe(build.path(corpus), build.folder)
