"""Models become one table: bits per byte of each on the same documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from lmcore.evaluate.settings import ComparisonConfig
from lmcore.lineage import Facts
from lmcore.runtime import usable_cores
from tasks.artifacts import Checkpoint, Report, Shards
from tasks.engine.step import Build, Forecast, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    models = arguments["models"]
    parameters = models[0].size / 4
    tokens = arguments["shards"].size / 2 / 20
    seconds = 2 + len(models) * (0.3 + 2 * parameters * tokens / 1.4e11)
    return Forecast(seconds, memory=3e8 + 6 * parameters, disk=2e4 * len(models))


@step(makes=Report, forecast=_forecast, cores=lambda _: usable_cores())
def compare_models(
    build: Build,
    models: Sequence[Checkpoint],
    shards: Shards,
    called: tuple[str, ...],
    side: Literal["validation", "test"],
    settings: ComparisonConfig,
    *,
    name: str,
) -> Facts:
    """Score each model (`called` names them in their order) on one side, by source, beside the first one."""
    from lmcore.evaluate import comparison

    folders = dict(zip(called, map(build.path, models), strict=True))
    return comparison.compare_models(
        folders, build.path(shards), build.folder, settings, side, called[0], build.progress
    )
