"""Which of the documents hold what models are tested with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmcore.corpus.settings import DecontaminateConfig
from lmcore.lineage import Facts
from tasks.artifacts import Contaminated, Decided, Documents, HeldOutConversations, RawDocuments
from tasks.engine.step import Build, Forecast, cores_for_bytes, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size, items = arguments["documents"].size, sum(raw.size for raw in arguments["evaluation"])
    return Forecast(
        seconds=0.4 + size / 3.5e6 + items / 5e5, memory=2e8 + 10 * size + 60 * items, disk=0.01 * size
    )


@step(
    makes=Contaminated,
    forecast=_forecast,
    cores=lambda arguments: cores_for_bytes(arguments["documents"].size),
)
def decontaminate_documents(
    build: Build,
    documents: Documents,
    decided: Sequence[Decided],
    evaluation: Sequence[RawDocuments | HeldOutConversations],
    settings: DecontaminateConfig,
    *,
    name: str,
) -> Facts:
    """Find documents that share runs of words with evaluation items, among those that go on."""
    from lmcore.corpus.decontaminate import decontaminate

    return decontaminate(
        build.path(documents), [build.path(each) for each in decided],
        [build.path(each) for each in evaluation], build.folder, settings,
        pieces=build.pieces, cores=build.cores, progress=build.progress, say=build.say,
    )  # fmt: skip
