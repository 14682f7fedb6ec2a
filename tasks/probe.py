"""Predicting the first training run on a machine from ten steps of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from lmcore.config import Config, SettingsError
from lmcore.models.settings import TransformerConfig
from lmcore.runtime import usable_cores
from lmcore.train.settings import ProbeRequest, TrainConfig
from tasks.engine.measures import Measure, remember_probe
from tasks.engine.step import Forecast
from tasks.engine.workspace import Workspace
from tasks.pretrain import nominal_forecast, pretrain_model


def measure_training(workspace: Workspace, experiment: Config) -> None:
    """Train ten steps of an experiment's model on made-up tokens and remember what that says of the whole.

    Raises:
        SettingsError: the experiment trains nothing.
    """
    model, train = getattr(experiment, "model", None), getattr(experiment, "train", None)
    if not isinstance(model, TransformerConfig) or not isinstance(train, TrainConfig):
        raise SettingsError("this flow trains nothing, so there is nothing to probe; leave --probe out")
    request = ProbeRequest(model=model, train=train, threads=usable_cores())
    done = subprocess.run(
        [sys.executable, "-m", "lmcore.train.probe", request.model_dump_json()],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
    )
    if done.returncode:
        raise SettingsError(
            f"the probe failed: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}"
        )
    found = json.loads(done.stdout)
    nominal = nominal_forecast(model, train)
    # What comes on top of the steps (start-up, looks at the validation side) is left at its nominal share.
    seconds = nominal.seconds - nominal_steps(model, train) + found["seconds_per_step"] * train.steps
    actual = Forecast(seconds, found["peak_memory"], nominal.disk)
    remember_probe(workspace, pretrain_model.name, Measure(nominal, actual))


def nominal_steps(model: TransformerConfig, train: TrainConfig) -> float:
    """Seconds that the optimizer steps alone would nominally take."""
    more = train.model_copy(update={"steps": 2 * train.steps})
    return nominal_forecast(model, more).seconds - nominal_forecast(model, train).seconds
