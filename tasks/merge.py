"""Models with a common base become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lmcore.lineage import Facts
from lmcore.merge.settings import MergeConfig
from tasks.artifacts import Checkpoint
from tasks.engine.step import Build, Forecast, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    size = arguments["base"].size
    return Forecast(seconds=0.5 + len(arguments["parents"]) * size / 1e8, memory=2e8 + size, disk=size)


@step(makes=Checkpoint, forecast=_forecast)
def merge_models(
    build: Build, base: Checkpoint, parents: Sequence[Checkpoint], settings: MergeConfig, *, name: str
) -> Facts:
    """Combine the parents weight by weight; what they were both made from is the base of their changes."""
    from lmcore.merge.weights import merge_folders

    return merge_folders(
        build.path(base), [build.path(parent) for parent in parents], build.folder, settings, build.progress
    )
