"""Which of the documents say what another one says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmcore.corpus.settings import DeduplicateConfig
from lmcore.lineage import Facts
from tasks.artifacts import DistinctDocuments, Documents, FilteredDocuments
from tasks.engine.step import Build, Forecast, cores_for_bytes, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["documents"].size
    return Forecast(seconds=0.4 + size / 2.2e6, memory=2e8 + 10 * size, disk=0.1 * size)


@step(
    makes=DistinctDocuments,
    forecast=_forecast,
    cores=lambda arguments: cores_for_bytes(arguments["documents"].size),
)
def deduplicate_documents(
    build: Build,
    documents: Documents,
    filtered: FilteredDocuments,
    settings: DeduplicateConfig,
    *,
    name: str,
) -> Facts:
    """Find exact and verified near duplicates among what filters kept, and the family of each document."""
    from lmcore.corpus.deduplicate import deduplicate

    return deduplicate(
        build.path(documents), build.path(filtered), build.folder, settings,
        pieces=build.pieces, cores=build.cores, progress=build.progress, say=build.say,
    )  # fmt: skip
