"""Which passages of the documents stand elsewhere already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmcore.corpus.settings import RepeatsConfig
from lmcore.lineage import Facts
from tasks.artifacts import Decided, Documents, Repeats
from tasks.engine.step import Build, Forecast, cores_for_bytes, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["documents"].size
    return Forecast(seconds=0.5 + size / 1.1e6, memory=2e8 + 10 * size, disk=0.02 * size)


@step(
    makes=Repeats,
    forecast=_forecast,
    cores=lambda arguments: cores_for_bytes(arguments["documents"].size),
)
def find_repeats(
    build: Build,
    documents: Documents,
    decided: Sequence[Decided],
    settings: RepeatsConfig,
    *,
    name: str,
) -> Facts:
    """Find passages to cut out, of documents that go on, and documents of which too little would be left."""
    from lmcore.corpus import repeats

    return repeats.find_repeats(
        build.path(documents), [build.path(each) for each in decided], build.folder, settings,
        pieces=build.pieces, cores=build.cores, progress=build.progress, say=build.say,
    )  # fmt: skip
