"""Documents become clean documents, and measurements of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmcore.corpus.settings import CleanerPart, Measurement, NormalizeConfig
from lmcore.lineage import Facts
from tasks.artifacts import Documents, RawDocuments
from tasks.engine.step import Build, Forecast, cores_for_bytes, step


def _size(arguments: Mapping[str, Any]) -> float:
    return sum(raw.size for raw in arguments["raw"])


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = _size(arguments)
    return Forecast(seconds=0.3 + size / 2e6, memory=2e8, disk=1.1 * size)


@step(makes=Documents, forecast=_forecast, cores=lambda arguments: cores_for_bytes(_size(arguments)))
def clean_documents(
    build: Build,
    raw: Sequence[RawDocuments],
    normalize: NormalizeConfig,
    cleaners: Sequence[CleanerPart],
    measurements: Sequence[Measurement],
    *,
    name: str,
) -> Facts:
    """Normalise, mend, and measure what the filters want to know; nothing is judged yet."""
    from lmcore.corpus import clean

    return clean.clean_documents(
        [build.path(each) for each in raw], build.folder, normalize, cleaners, measurements,
        pieces=build.pieces, cores=build.cores, progress=build.progress, say=build.say,
    )  # fmt: skip
