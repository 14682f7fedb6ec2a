"""Clean documents become distinct documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmcore.corpus.settings import DeduplicateConfig
from lmcore.lineage import Facts
from tasks.artifacts import DistinctDocuments, Documents
from tasks.engine.step import Build, Forecast, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["documents"].size
    return Forecast(seconds=0.3 + size / 2.5e6, memory=4e7 + 10 * size, disk=size)


@step(makes=DistinctDocuments, forecast=_forecast)
def deduplicate_documents(
    build: Build, documents: Documents, settings: DeduplicateConfig, *, name: str
) -> Facts:
    """Remove exact and verified near duplicates; note the family of each document that stays."""
    from lmcore.corpus.deduplicate import deduplicate

    return deduplicate(build.path(documents), build.folder, settings)
