"""The training loop, and what it carries from step to step."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lmcore.batching.windows import TrainingWindows, ValidationWindows
from lmcore.models.transformer import Transformer
from lmcore.tokenizers.tokenizer import Tokenizer
from lmcore.train.checkpoint import Checkpoint, save_checkpoint
from lmcore.train.gradient import Lanes, batch_gradient
from lmcore.train.journal import Journals
from lmcore.train.optimizer import Optimizer, clip_gradients
from lmcore.train.precision import WorkingModel
from lmcore.train.schedule import learning_rate
from lmcore.train.settings import TrainConfig
from lmcore.train.validation import Score, validate, write_samples


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
    """Everything that one training run holds."""

    config: TrainConfig
    identity: str
    model: Transformer
    working: WorkingModel
    optimizer: Optimizer
    training: TrainingWindows
    validation: ValidationWindows
    tokenizer: Tokenizer
    lanes: Lanes
    journals: Journals
    resume_folder: Path
    checkpoint_seconds: float
    step: int = 0
    """Optimizer steps that are done."""
    loss: float = math.nan
    best: Best = field(default_factory=Best)

    @property
    def is_finished(self) -> bool:
        """All steps are done, or patience has run out."""
        patience = self.config.patience
        return self.step >= self.config.steps or (patience is not None and self.best.looks_since >= patience)


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
    config, device = run.config, run.model.embedding.weight.device
    saved_at = time.monotonic()
    while not run.is_finished:
        began = time.monotonic()
        rate = learning_rate(run.step, config)
        tokens = torch.from_numpy(run.training.batch(run.step, config.batch_size)).to(device)  # (B, T + 1)

        run.loss, gradients = batch_gradient(run.working, tokens, config.micro_batch_size, run.lanes)
        norm = clip_gradients(gradients, config.clip_norm)
        _check_finite(run, norm)
        run.optimizer.update(gradients, rate, run.lanes)
        run.working.refresh()
        run.step += 1

        seconds = time.monotonic() - began
        record = {"loss": run.loss, "learning_rate": rate, "gradient_norm": norm}
        _write_line(run, record | (_look(run) if _is_look_due(run) else {}), seconds)
        if progress:
            progress(run.step, config.steps)

        is_stopping = is_stop_wanted() or run.step == stop_after
        if is_stopping or run.is_finished or time.monotonic() - saved_at >= run.checkpoint_seconds:
            save_checkpoint(_to_checkpoint(run), run.resume_folder)
            saved_at = time.monotonic()
        if is_stopping and not run.is_finished:
            raise Interrupted(f"stopped after step {run.step} of {config.steps}; its state is saved")


def _check_finite(run: Run, gradient_norm: float) -> None:
    for name, value in (("loss", run.loss), ("gradient norm", gradient_norm)):
        if not math.isfinite(value):
            raise TrainingError(
                f"the {name} became {value} at step {run.step + 1} of {run.config.steps}; lower "
                f"peak_learning_rate (now {run.config.peak_learning_rate:g}) or raise warmup_steps "
                f"(now {run.config.warmup_steps})"
            )


def _is_look_due(run: Run) -> bool:
    return run.step % run.config.validate_every == 0 or run.step == run.config.steps


def _look(run: Run) -> dict[str, Any]:
    """Validate, write samples, and keep the weights if they are the best so far."""
    score = validate(run.working.model, run.validation, run.config.micro_batch_size, run.lanes)
    if not math.isfinite(score.loss):
        raise TrainingError(
            f"the validation loss is {score.loss} at step {run.step}; lower peak_learning_rate"
        )
    for sample in write_samples(run.model, run.tokenizer, run.config):
        run.journals.samples.append({"step": run.step, **sample})
    if score.loss < run.best.score.loss:
        weights = {name: weight.detach().clone() for name, weight in run.model.named_parameters()}
        run.best = Best(run.step, score, weights)
    else:
        run.best.looks_since += 1
    return {"validation_loss": score.loss, "validation_bits_per_byte": score.bits_per_byte}


def _write_line(run: Run, record: dict[str, Any], seconds: float) -> None:
    num_tokens = run.config.batch_size * run.training.context_tokens
    run.journals.metrics.append({"step": run.step, "tokens": run.step * num_tokens, **record})
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
    tensors: dict[str, Tensor] = {f"model/{name}": weight for name, weight in run.model.named_parameters()}
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
        "best": best if run.best.weights else None,
        "journals": run.journals.sync(),
    }
    return Checkpoint(run.step, run.identity, tensors, numbers)
