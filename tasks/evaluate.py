"""A model becomes scores and samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmcore.evaluate.settings import EvaluateConfig
from lmcore.lineage import Facts
from tasks.artifacts import Checkpoint, Report, Shards
from tasks.engine.step import Build, Forecast, step


def _forecast(arguments: Mapping[str, Any]) -> Forecast:
    parameters = arguments["model"].size / 4
    # Two bytes a token, a twentieth of them on the test side, each in two windows at the default stride.
    tokens = arguments["shards"].size / 2 / 20 * 2
    return Forecast(seconds=3 + 2 * parameters * tokens / 1.4e11, memory=3e8 + 6 * parameters, disk=2e4)


@step(makes=Report, forecast=_forecast)
def evaluate_model(
    build: Build, model: Checkpoint, shards: Shards, settings: EvaluateConfig, *, name: str
) -> Facts:
    """Score the test side beside a unigram model, with intervals over documents, and write samples."""
    from lmcore.evaluate import harness

    return harness.evaluate_model(
        build.path(model), build.path(shards), build.folder, settings, build.progress
    )
