"""A request in, a trained model's folder out; a run that was interrupted in it goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from lmcore.batching.token_shards import TokenShards
from lmcore.config import canonical
from lmcore.interop.hugging_face import save_folder
from lmcore.lineage import digest_of
from lmcore.models.transformer import Transformer
from lmcore.tokenizers.tokenizer import Tokenizer
from lmcore.train.checkpoint import Checkpoint, load_latest, sync_file
from lmcore.train.gradient import open_lanes
from lmcore.train.journal import Journal
from lmcore.train.loop import Best, Run, train
from lmcore.train.optimizer import load_optimizer_state, make_optimizer
from lmcore.train.precision import WorkingModel
from lmcore.train.settings import PretrainRequest
from lmcore.train.validation import Score

FACTS = "facts.json"
RESUME = "resume"
JOURNALS = {"metrics": "metrics.jsonl", "samples": "samples.jsonl", "timings": "log/timings.jsonl"}

Facts = dict[str, int | float | str]


def pretrain(
    request: PretrainRequest,
    is_stop_wanted: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
) -> Facts:
    """Train as requested and fill `request.out`: a Hugging Face folder of the best weights, metrics, samples, facts.

    A finished folder is left as it is. All files but those under `log/` have the same bytes for any number of
    threads and interruptions.

    Raises:
        ValueError: shards and tokenizer do not match or are damaged, a side is too small, the folder holds
            another run, or the loss became NaN (TrainingError).
        Interrupted: a stop was wanted, or `stop_after` is reached; the same request goes on from there.
    """
    with _deterministic(), open_run(request) as run:
        if (facts := _finished(request.out, run.identity)) is None:
            train(run, request.stop_after, is_stop_wanted, progress)
            facts = _finish(run, request)
        shutil.rmtree(request.out / RESUME, ignore_errors=True)
        return facts


@contextmanager
def open_run(request: PretrainRequest) -> Iterator[Run]:
    """All that training needs, built from the request or taken up from the latest checkpoint."""
    config = request.train.resolved()
    tokenizer = Tokenizer.load(request.tokenizer)
    shards = TokenShards(request.shards, tokenizer.digest)
    identity = _identity(request, shards)
    training = shards.windows("train", request.model.context_tokens, config.seed)
    validation = shards.validation_windows(request.model.context_tokens, max_tokens=config.validation_tokens)
    checkpoint = _load_checkpoint(request.out, identity)
    model = Transformer(request.model, tokenizer.vocab_size, config.seed).to(config.device)
    optimizer = make_optimizer(model, config)
    sizes = checkpoint.numbers if checkpoint else dict.fromkeys(JOURNALS, 0)
    is_done = (request.out / FACTS).is_file()
    journals = {
        kind: Journal(request.out / name, None if is_done else sizes[kind]) for kind, name in JOURNALS.items()
    }
    lanes = open_lanes(request.threads if config.device == "cpu" else 1)
    with journals["metrics"], journals["samples"], journals["timings"], lanes as opened:
        run = Run(
            config=config,
            identity=identity,
            model=model,
            working=WorkingModel(model, config.precision),  # type: ignore[arg-type]
            optimizer=optimizer,
            training=training,
            validation=validation,
            tokenizer=tokenizer,
            lanes=opened,
            resume_folder=request.out / RESUME,
            checkpoint_seconds=request.checkpoint_seconds,
            **journals,
        )
        if checkpoint:
            _take_up(run, checkpoint)
        yield run
