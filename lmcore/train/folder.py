"""A run in its folder: begun, gone on with where it stopped, and brought to its end once."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from lmcore.lineage import Facts
from lmcore.train.checkpoint import load_latest, sync_file
from lmcore.train.gradient import Lanes, open_lanes
from lmcore.train.journal import Journals
from lmcore.train.loop import Run, take_up, train
from lmcore.train.precision import trained
from lmcore.train.settings import Request

FACTS = "facts.json"
RESUME = "resume"


def complete(
    request: Request,
    device: str,
    identity: str,
    prepare: Callable[[Journals, Lanes], Run],
    save: Callable[[Run], Facts],
    is_stop_wanted: Callable[[], bool],
    progress: Callable[[int, int], None] | None,
) -> Facts:
    """Bring the run of a folder to its end; a finished one is left as it is.

    Args:
        request: where, on how many threads, and when to save.
        device: where to compute.
        identity: digest of what decides the bits: another run's state is never taken up.
        prepare: gives the run at step 0.
        save: writes the model, which has its best weights by then; what it returns is told among the facts.
        is_stop_wanted, progress: see `train`.

    Raises:
        ValueError: the folder holds another run.
        Interrupted: a stop was wanted; the same request goes on from there.
    """
    facts = _finished(request.out, identity)
    if facts is None:
        checkpoint = load_latest(request.out / RESUME, identity)
        sizes = checkpoint.numbers["journals"] if checkpoint else {}
        num_lanes = request.threads if device == "cpu" else 1
        with _deterministic(), Journals(request.out, sizes) as journals, open_lanes(num_lanes) as lanes:
            run = prepare(journals, lanes)
            if checkpoint:
                take_up(run, checkpoint)
            train(run, request.stop_after, is_stop_wanted, progress)
            _put_best(run)
            facts = {**_facts(run), **save(run)}
            journals.sync()
            _write_whole(request.out / FACTS, json.dumps(facts, indent=2, sort_keys=True) + "\n")
    shutil.rmtree(request.out / RESUME, ignore_errors=True)
    return facts


@torch.no_grad()
def _put_best(run: Run) -> None:
    for name, weight in trained(run.model).items():
        weight.copy_(run.best.weights[name])


def _facts(run: Run) -> Facts:
    """What can be told of every run."""
    return {
        "identity": run.identity,
        "steps": run.step,
        "tokens": run.num_tokens,
        "parameters": sum(weight.numel() for weight in run.model.parameters()),
        "training_loss": run.loss,
        "best_step": run.best.step,
        "validation_loss": run.best.score.loss,
        "validation_perplexity": math.exp(run.best.score.loss),
        "validation_bits_per_byte": run.best.score.bits_per_byte,
        "precision": run.config.precision,
        "device": run.config.device,
    }


def _finished(out: Path, identity: str) -> Facts | None:
    """The facts of a run that has already been brought to its end here.

    Raises:
        ValueError: it was another run.
    """
    try:
        facts: Facts = json.loads((out / FACTS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if facts["identity"] != identity:
        raise ValueError(f"{out} holds a model of other settings or data; choose another folder or remove it")
    return facts


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    scratch = path.parent / RESUME / path.name
    scratch.parent.mkdir(exist_ok=True)
    scratch.write_text(text, encoding="utf-8")
    sync_file(scratch)
    scratch.rename(path)
    sync_file(path.parent)


@contextmanager
def _deterministic() -> Iterator[None]:
    """Only kernels that give the same bits each time (on a GPU: where there is one)."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    mode_before = torch.get_deterministic_debug_mode()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    # `use_deterministic_algorithms` does the same, but imports torch's compiler first: a second each time.
    torch.set_deterministic_debug_mode("warn" if torch.cuda.is_available() else "error")
    memory.fill_uninitialized_memory = False  # it costs time and is for finding bugs
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode_before)
        memory.fill_uninitialized_memory = filled
