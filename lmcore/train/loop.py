"""The training loop, and what it carries from step to step."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmcore.models.transformer import Transformer
from lmcore.train.batch import Training
from lmcore.train.checkpoint import Checkpoint, save_checkpoint
from lmcore.train.gradient import Lanes, batch_gradient
from lmcore.train.journal import Journals
from lmcore.train.optimizer import Optimizer, clip_gradients
from lmcore.train.precision import WorkingModel, trained
from lmcore.train.schedule import Schedule
from lmcore.train.settings import Descent
from lmcore.train.validation import Part, Samples, Score, validate


class TrainingError(ValueError):
    """Training cannot go on; the message names the step and the cure."""


class Interrupted(Exception):
    """Someone asked the run to stop; its state is saved, and the same request goes on from there."""


@dataclass
class Best:
    """The best weights that the validation side has seen."""

    step: int = 0
    score: Score = field(default_factory=lambda: Score(math.inf, math.inf))
    weights: dict[str, Tensor] = field(default_factory=dict)
    looks_since: int = 0
    """Looks without a new best; `patience` counts them."""


@dataclass
class Run:
    """Everything that one training run holds; it moves the weights of `model` that require a gradient."""

    config: Descent
    schedule: Schedule
    identity: str
    model: Transformer
    working: WorkingModel
    optimizer: Optimizer
    training: Training
    validation: Sequence[Part]
    samples: Samples
    lanes: Lanes
    journals: Journals
    resume_folder: Path
    checkpoint_seconds: float
    is_continued: bool = False
    """The model knows something already: it is scored before the first step, and is the first best."""
    step: int = 0
    """Optimizer steps that are done."""
    num_tokens: int = 0
    """Tokens that those steps have read."""
    loss: float = math.nan
    best: Best = field(default_factory=Best)

    @property
    def is_finished(self) -> bool:
        """All steps are done, or patience has run out."""
        patience = self.config.patience
        return self.step >= self.schedule.steps or (
            patience is not None and self.best.looks_since >= patience
        )


def train(
    run: Run,
    stop_after: int | None = None,
    is_stop_wanted: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Walk downhill until the steps or the patience are used up; `run` holds the outcome.

    Raises:
        TrainingError: the loss or the gradient is no number any more.
        Interrupted: a stop was wanted, or step `stop_after` is done; the state has been saved.
    """
    saved_at = time.monotonic()
    if run.is_continued and run.step == 0:
        run.journals.metrics.append({"step": 0, "tokens": 0, **_look(run)})
    while not run.is_finished:
        began = time.monotonic()
        rate = run.schedule.rate(run.step)
        batch = run.training.batch(run.step)

        run.loss, gradients = batch_gradient(run.working, batch, run.lanes)
        norm = clip_gradients(gradients, run.config.clip_norm)
        _check_finite(run, norm)
        run.optimizer.update(gradients, rate, run.lanes)
        run.working.refresh()
        run.step += 1
        run.num_tokens += batch.num_tokens

        _write_timing(run, batch.num_tokens, time.monotonic() - began)
        record = {"loss": run.loss, "learning_rate": rate, "gradient_norm": norm}
        looked = _look(run) if _is_look_due(run) else {}
        run.journals.metrics.append({"step": run.step, "tokens": run.num_tokens, **record, **looked})
        if progress:
            progress(run.step, run.schedule.steps)

        is_stopping = is_stop_wanted() or run.step == stop_after
        if is_stopping or run.is_finished or time.monotonic() - saved_at >= run.checkpoint_seconds:
            save_checkpoint(_to_checkpoint(run), run.resume_folder)
            saved_at = time.monotonic()
        if is_stopping and not run.is_finished:
            raise Interrupted(f"stopped after step {run.step} of {run.schedule.steps}; its state is saved")


def _check_finite(run: Run, gradient_norm: float) -> None:
    for name, value in (("loss", run.loss), ("gradient norm", gradient_norm)):
        if not math.isfinite(value):
            raise TrainingError(
                f"the {name} became {value} at step {run.step + 1} of {run.schedule.steps}; lower "
                f"peak_learning_rate (now {run.schedule.peak_rate:g}) or warm up for longer "
                f"(now {run.schedule.warmup_steps} steps)"
            )


def _is_look_due(run: Run) -> bool:
    return run.step % run.config.validate_every == 0 or run.step == run.schedule.steps


def _look(run: Run) -> dict[str, Any]:
    """Validate, write samples, and keep the weights if they are the best so far."""
    score = validate(run.working.model, run.validation, run.lanes)
    if not math.isfinite(score.loss):
        raise TrainingError(
            f"the validation loss is {score.loss} at step {run.step}; lower peak_learning_rate"
        )
    for sample in run.samples.write(run.model):
        run.journals.samples.append({"step": run.step, **sample})
    if score.loss < run.best.score.loss:
        weights = {name: weight.detach().clone() for name, weight in trained(run.model).items()}
        run.best = Best(run.step, score, weights)
    else:
        run.best.looks_since += 1
    return {"validation_loss": score.loss, "validation_bits_per_byte": score.bits_per_byte}


def _write_timing(run: Run, num_tokens: int, seconds: float) -> None:
    run.journals.timings.append(
        {
            "step": run.step,
            "seconds": seconds,
            "tokens_per_second": num_tokens / seconds,
            "peak_memory_bytes": _peak_memory_bytes(run.config.device),
        }
    )


def _peak_memory_bytes(device: str) -> int:
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _to_checkpoint(run: Run) -> Checkpoint:
    tensors: dict[str, Tensor] = {f"model/{name}": weight for name, weight in trained(run.model).items()}
    tensors |= {f"optimizer/{name}": t for name, t in run.optimizer.state().items()}
    tensors |= {f"best/{name}": weight for name, weight in run.best.weights.items()}
    best = {
        "step": run.best.step,
        "loss": run.best.score.loss,
        "bits_per_byte": run.best.score.bits_per_byte,
        "looks_since": run.best.looks_since,
    }
    numbers = {
        "loss": run.loss,
        "tokens": run.num_tokens,
        "best": best if run.best.weights else None,
        "journals": run.journals.sync(),
    }
    return Checkpoint(run.step, run.identity, tensors, numbers)


@torch.no_grad()
def take_up(run: Run, checkpoint: Checkpoint) -> None:
    """Put a run where a checkpoint was taken."""
    weights, numbers = checkpoint.of_kind("model"), checkpoint.numbers
    for name, weight in trained(run.model).items():
        weight.copy_(weights[name])
    run.working.refresh()
    run.optimizer.load_state(checkpoint.of_kind("optimizer"))
    run.step, run.num_tokens, run.loss = checkpoint.step, numbers["tokens"], numbers["loss"]
    if best := numbers["best"]:
        score = Score(best["loss"], best["bits_per_byte"])
        run.best = Best(best["step"], score, checkpoint.of_kind("best"), best["looks_since"])
