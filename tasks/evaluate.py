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
    # An eighth of the shards' bytes is about the number of test tokens; half strides score each twice.
    tokens = arguments["shards"].size / 8 / 2 * 2
    return Forecast(seconds=3 + 2 * parameters * tokens / 3e10, memory=6e8, disk=1e6)


@step(makes=Report, forecast=_forecast)
def evaluate_model(
    build: Build, model: Checkpoint, shards: Shards, settings: EvaluateConfig, *, name: str
) -> Facts:
    """Score the test side beside a unigram model, with intervals over documents, and write samples."""
    from lmcore.evaluate import harness

    return harness.evaluate_model(
        build.path(model), build.path(shards), build.folder, settings, build.progress
    )
