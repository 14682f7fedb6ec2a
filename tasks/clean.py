"""Documents become clean documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmcore.corpus.settings import FilterPart, NormalizeConfig
from lmcore.lineage import Facts
from tasks.artifacts import Documents, RawDocuments
from tasks.engine.step import Build, Forecast, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = sum(raw.size for raw in arguments["raw"])
    return Forecast(seconds=0.3 + size / 1.5e6, memory=4e7 + 3 * size, disk=size)


@step(makes=Documents, forecast=_forecast)
def clean_documents(
    build: Build,
    raw: Sequence[RawDocuments],
    normalize: NormalizeConfig,
    filters: Sequence[FilterPart],
    *,
    name: str,
) -> Facts:
    """Normalise, then filter; what is rejected is kept apart with rule, value and threshold."""
    from lmcore.corpus import clean

    return clean.clean_documents(
        [build.path(each) for each in raw], build.folder, normalize, filters, build.progress
    )
