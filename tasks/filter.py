"""Clean documents are judged by their measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmcore.corpus.settings import FilterPart
from lmcore.lineage import Facts
from tasks.artifacts import Documents, FilteredDocuments
from tasks.engine.step import Build, Forecast, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["documents"].size
    return Forecast(seconds=0.2 + size / 2e8, memory=1e8, disk=0.01 * size)


@step(makes=FilteredDocuments, forecast=_forecast)
def filter_documents(
    build: Build, documents: Documents, filters: Sequence[FilterPart], *, name: str
) -> Facts:
    """Decide in SQL which documents go on; other limits need no second reading of the texts."""
    from lmcore.corpus import filter

    return filter.filter_documents(build.path(documents), build.folder, filters)
