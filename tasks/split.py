"""What was decided on documents is put into effect: a corpus with three sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmcore.corpus.settings import SplitConfig
from lmcore.lineage import Facts
from tasks.artifacts import Corpus, Decided, Documents, RawDocuments
from tasks.engine.step import Build, Forecast, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["documents"].size
    return Forecast(seconds=0.2 + size / 2e7, memory=1e8 + 3 * size, disk=1.1 * size)


@step(makes=Corpus, forecast=_forecast, carries="ledger.csv")
def split_corpus(
    build: Build,
    documents: Documents,
    decided: Sequence[Decided],
    raw: Sequence[RawDocuments],
    settings: SplitConfig,
    *,
    name: str,
) -> Facts:
    """Give each document a side and keep the sides given before; gather all rejects with their reasons."""
    from lmcore.corpus import split

    rejecting = [build.path(each) for each in (*raw, documents)]
    return split.split_corpus(
        build.path(documents), [build.path(each) for each in decided], rejecting,
        build.carried, build.folder, settings,
    )  # fmt: skip
