"""Models sit an exam: the questions of one side of the conversations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from lmcore.evaluate.settings import ExamConfig
from lmcore.lineage import Facts
from lmcore.runtime import usable_cores
from tasks.artifacts import Checkpoint, Conversations, Report
from tasks.engine.step import Build, Forecast, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    models, size = arguments["models"], arguments["conversations"].size
    parameters = models[0].size / 4
    return Forecast(
        seconds=3 + len(models) * size * parameters / 2e12, memory=3e8 + 6 * parameters, disk=size / 5
    )


@step(makes=Report, forecast=_forecast, cores=lambda _: usable_cores())
def examine_models(
    build: Build,
    models: Sequence[Checkpoint],
    conversations: Conversations,
    called: tuple[str, ...],
    side: Literal["validation", "test"],
    settings: ExamConfig,
    *,
    name: str,
) -> Facts:
    """Let each model (`called` names them in their order) answer, and mark it beside cheap baselines."""
    from lmcore.evaluate import exam

    folders = dict(zip(called, map(build.path, models), strict=True))
    return exam.examine(folders, build.path(conversations), build.folder, settings, side, build.progress)
