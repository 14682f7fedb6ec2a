"""A corpus in numbers and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.corpus.settings import FilterPart
from lmcore.lineage import Facts
from tasks.artifacts import Corpus, Decided, Documents, Report
from tasks.engine.step import Build, Forecast, step

if TYPE_CHECKING:
    from tasks.catalogue import FoundCorpus
    from tasks.engine.workspace import Workspace


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["corpus"].size
    return Forecast(seconds=0.5 + size / 4e6, memory=2e8 + 2 * size, disk=1e5)


@step(makes=Report, forecast=_forecast)
def describe_corpus(
    build: Build,
    corpus: Corpus,
    documents: Documents,
    decided: Sequence[Decided],
    filters: Sequence[FilterPart],
    alarm_share: float,
    *,
    name: str,
) -> Facts:
    """Count documents, words and rejections in SQL, and show what each step took away.

    The page that shows it lies in `log/`: to mend a word of it makes nothing anew.
    """
    from lmcore.corpus.catalogue import Products
    from lmcore.corpus.statistics import describe
    from tasks.report.corpus import write_page

    folders = tuple(build.path(each) for each in decided)
    products = Products(build.path(corpus), build.path(documents), folders)
    limits = [limit for part in filters for limit in part.limits]
    facts = describe(products, build.folder, limits, alarm_share)
    write_page(build.folder, corpus.name)
    return facts


def report_of(workspace: Workspace, found: FoundCorpus) -> Path | None:
    """The page on a corpus, drawn again if it is lost; None if the corpus was never described."""
    from tasks.engine.store import Store
    from tasks.lineage.graph import inputs_in
    from tasks.report.corpus import written_page

    for manifest in Store(workspace).made_by("describe_corpus"):
        folder = workspace.path(f"{Report.home}/{manifest.step}-{manifest.key[:12]}")
        is_of_it = any(artifact.digest == found.manifest.digest for _, artifact in inputs_in(manifest))
        if is_of_it and folder.is_dir():
            return written_page(folder, found.name)
    return None
