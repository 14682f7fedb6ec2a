"""A request in, a trained model's folder out; a run that was interrupted in it goes on."""

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

from lmcore.batching.token_shards import TokenShards
from lmcore.config import canonical
from lmcore.interop.hugging_face import save_folder
from lmcore.lineage import digest_of, file_digest
from lmcore.models.transformer import Transformer
from lmcore.tokenizers.tokenizer import Tokenizer
from lmcore.train.checkpoint import Checkpoint, load_latest, sync_file
from lmcore.train.gradient import Lanes, open_lanes
from lmcore.train.journal import Journals
from lmcore.train.loop import Best, Run, train
from lmcore.train.optimizer import Optimizer
from lmcore.train.precision import WorkingModel
from lmcore.train.settings import PretrainRequest
from lmcore.train.validation import Score

FACTS = "facts.json"
RESUME = "resume"

Facts = dict[str, int | float | str]


def pretrain(
    request: PretrainRequest,
    is_stop_wanted: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
) -> Facts:
    """Train as requested; fill `request.out` with a Hugging Face folder of the best weights, metrics, facts.

    A finished folder is left as it is. All files but those under `log/` have the same bytes for any number of
    threads and interruptions.

    Raises:
        ValueError: shards and tokenizer do not match or are damaged, a side is too small, the folder holds
            another run, or the loss became NaN (TrainingError).
        Interrupted: a stop was wanted, or `stop_after` is reached; the same request goes on from there.
    """
    request = request.model_copy(update={"train": request.train.resolved()})
    tokenizer = Tokenizer.load(request.tokenizer)
    shards = TokenShards(request.shards, tokenizer.digest)
    identity = _identity(request)
    facts = _finished(request.out, identity)
    if facts is None:
        checkpoint = load_latest(request.out / RESUME, identity)
        sizes = checkpoint.numbers["journals"] if checkpoint else {}
        num_lanes = request.threads if request.train.device == "cpu" else 1
        with _deterministic(), Journals(request.out, sizes) as journals, open_lanes(num_lanes) as lanes:
            run = _prepare(request, identity, tokenizer, shards, journals, lanes)
            if checkpoint:
                _take_up(run, checkpoint)
            train(run, request.stop_after, is_stop_wanted, progress)
            facts = _finish(run, request)
    shutil.rmtree(request.out / RESUME, ignore_errors=True)
    return facts


def _identity(request: PretrainRequest) -> str:
    """Digest of what decides the bits: settings and data, no paths and no thread count."""
    # The index holds the digests of all shards and of the tokenizer.
    data = file_digest(request.shards / "index.json")
    return digest_of({"model": canonical(request.model), "train": canonical(request.train), "data": data})


def _prepare(
    request: PretrainRequest,
    identity: str,
    tokenizer: Tokenizer,
    shards: TokenShards,
    journals: Journals,
    lanes: Lanes,
) -> Run:
    """A run at step 0."""
    config, context_tokens = request.train, request.model.context_tokens
    model = Transformer(request.model, tokenizer.vocab_size, config.seed).to(config.device)
    return Run(
        config=config,
        identity=identity,
        model=model,
        working=WorkingModel(model, "fp32" if config.precision == "fp32" else "bf16"),
        optimizer=Optimizer(model, config),
        training=shards.windows("train", context_tokens, config.seed),
        validation=shards.validation_windows(context_tokens, max_tokens=config.validation_tokens),
        tokenizer=tokenizer,
        lanes=lanes,
        journals=journals,
        resume_folder=request.out / RESUME,
        checkpoint_seconds=request.checkpoint_seconds,
    )


@torch.no_grad()
def _take_up(run: Run, checkpoint: Checkpoint) -> None:
    """Put a run where a checkpoint was taken."""
    weights, numbers = checkpoint.of_kind("model"), checkpoint.numbers
    for name, weight in run.model.named_parameters():
        weight.copy_(weights[name])
    run.working.refresh()
    run.optimizer.load_state(checkpoint.of_kind("optimizer"))
    run.step, run.loss = checkpoint.step, numbers["loss"]
    if best := numbers["best"]:
        score = Score(best["loss"], best["bits_per_byte"])
        run.best = Best(best["step"], score, checkpoint.of_kind("best"), best["looks_since"])


@torch.no_grad()
def _finish(run: Run, request: PretrainRequest) -> Facts:
    """Write the best weights as a model folder, and the facts as the last file."""
    for name, weight in run.model.named_parameters():
        weight.copy_(run.best.weights[name])
    save_folder(run.model, request.tokenizer, request.out)
    num_tokens = run.step * run.config.batch_size * run.training.context_tokens
    facts: Facts = {
        "identity": run.identity,
        "steps": run.step,
        "tokens": num_tokens,
        "epochs": num_tokens / run.training.stream.num_tokens,
        "parameters": sum(weight.numel() for weight in run.model.parameters()),
        "training_loss": run.loss,
        "best_step": run.best.step,
        "validation_loss": run.best.score.loss,
        "validation_perplexity": math.exp(run.best.score.loss),
        "validation_bits_per_byte": run.best.score.bits_per_byte,
        "precision": run.config.precision,
        "device": run.config.device,
    }
    run.journals.sync()
    _write_whole(request.out / FACTS, json.dumps(facts, indent=2, sort_keys=True) + "\n")
    return facts


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
    was_on = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    memory.fill_uninitialized_memory = False  # it costs time and is for finding bugs
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was_on)
        memory.fill_uninitialized_memory = filled
