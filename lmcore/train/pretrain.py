"""A request in, a trained model's folder out; a run that was interrupted in it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from lmcore.batching.mixture import MixtureWindows, shares_of, source_streams
from lmcore.batching.token_shards import TokenShards
from lmcore.batching.windows import TrainingWindows, ValidationWindows
from lmcore.config import canonical
from lmcore.interop.hugging_face import save_folder
from lmcore.lineage import Facts, digest_of, file_digest
from lmcore.models.transformer import Transformer
from lmcore.tokenizers.tokenizer import Tokenizer
from lmcore.train.base import base_digest, check_tokenizer, load_base
from lmcore.train.batch import HeldOutWindows, WindowBatches
from lmcore.train.folder import RESUME, complete
from lmcore.train.gradient import Lanes
from lmcore.train.journal import Journals
from lmcore.train.loop import Run
from lmcore.train.optimizer import Optimizer
from lmcore.train.precision import WorkingModel
from lmcore.train.settings import PretrainRequest, TrainConfig
from lmcore.train.validation import Part, Samples

MIXTURE = "log/mixture.jsonl"
"""What a run will see of each source, told before it begins."""
Shares = Mapping[str, float]


def pretrain(
    request: PretrainRequest,
    is_stop_wanted: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
) -> Facts:
    """Train as requested; fill `request.out` with a Hugging Face folder of the best weights, metrics, facts.

    A finished folder is left as it is. All files but those under `log/` have the same bytes for any number of
    threads and interruptions.

    Raises:
        ValueError: shards, tokenizer and base do not match or are damaged, a side is too small, the folder
            holds another run, or the loss became NaN (TrainingError).
        Interrupted: a stop was wanted, or `stop_after` is reached; the same request goes on from there.
    """
    config = request.train.resolved()
    tokenizer = Tokenizer.load(request.tokenizer)
    shards = TokenShards(request.shards, tokenizer.digest)
    model = _model(request, tokenizer).to(config.device)
    mixture = config.mixture
    shares = None if mixture is None else shares_of(mixture, source_streams(shards, "train"))
    training = _training(shards, shares, model.config.context_tokens, config)

    def prepare(journals: Journals, lanes: Lanes) -> Run:
        if shares:
            planned = _epochs(training, config.steps * config.batch_size)
            (request.out / MIXTURE).write_text(json.dumps(planned) + "\n", encoding="utf-8")
        return Run(
            config=config,
            schedule=config.schedule,
            identity=identity,
            model=model,
            working=WorkingModel(model, "fp32" if config.precision == "fp32" else "bf16"),
            optimizer=Optimizer(model, config),
            training=WindowBatches(training, config.batch_size, config.micro_batch_size),
            validation=_validation(shards, shares, model.config.context_tokens, config),
            samples=_samples(tokenizer, config),
            lanes=lanes,
            journals=journals,
            resume_folder=request.out / RESUME,
            checkpoint_seconds=request.checkpoint_seconds,
            is_continued=request.base is not None,
        )

    def save(run: Run) -> Facts:
        save_folder(run.model, request.tokenizer, request.out)
        return _epochs(training, run.step * config.batch_size)

    identity = _identity(request, model, config)
    return complete(request, config.device, identity, prepare, save, is_stop_wanted, progress)


def _identity(request: PretrainRequest, model: Transformer, config: TrainConfig) -> str:
    """Digest of what decides the bits: settings and data, no paths and no thread count."""
    # The index holds the digests of all shards and of the tokenizer.
    data = file_digest(request.shards / "index.json")
    base = request.base and base_digest(request.base)
    return digest_of(
        {"model": canonical(model.config), "base": base, "train": canonical(config), "data": data}
    )


def _model(request: PretrainRequest, tokenizer: Tokenizer) -> Transformer:
    if request.base is not None:
        check_tokenizer(request.base, tokenizer)
        return load_base(request.base, request.model)
    assert request.model is not None, "a request has one or the other"
    return Transformer(request.model, tokenizer.vocab_size, request.train.seed)


def _training(
    shards: TokenShards, shares: Shares | None, context_tokens: int, config: TrainConfig
) -> TrainingWindows | MixtureWindows:
    if shares is None:
        return shards.windows("train", context_tokens, config.seed)
    return MixtureWindows(source_streams(shards, "train"), shares, context_tokens, config.seed)


def _validation(
    shards: TokenShards, shares: Shares | None, context_tokens: int, config: TrainConfig
) -> list[Part]:
    """The held-out text; of a mixture each source's, with the share that it has in the training.

    Raises:
        ValueError: a source of the mixture has no held-out text.
    """
    num_tokens = config.validation_tokens
    if shares is None:
        windows = shards.validation_windows(context_tokens, max_tokens=num_tokens)
        return [Part(HeldOutWindows(windows, config.micro_batch_size))]
    streams = source_streams(shards, "validation")
    parts = []
    for name, share in shares.items():
        if name not in streams:
            raise ValueError(
                f"mixture: the validation side holds no text of '{name}' to choose the best weights by; "
                f"raise the split's validation_share, or leave that source out"
            )
        most = None if num_tokens is None else max(1, round(num_tokens * share))
        windows = ValidationWindows(streams[name], context_tokens, shards.eos_id, shards.token_bytes, most)
        parts.append(Part(HeldOutWindows(windows, config.micro_batch_size), share))
    return parts


def _samples(tokenizer: Tokenizer, config: TrainConfig) -> Samples:
    return Samples(
        prompts=[(text, tokenizer.encode(text) or [tokenizer.eos_id]) for text in config.sample_prompts],
        tokenizer=tokenizer,
        stop_ids=[tokenizer.eos_id],
        max_tokens=config.sample_tokens,
        temperature=config.sample_temperature,
        seed=config.seed,
    )


def _epochs(training: TrainingWindows | MixtureWindows, num_windows: int) -> Facts:
    """How often the text was seen; of a mixture each source's tokens and epochs."""
    if isinstance(training, TrainingWindows):
        return {"epochs": num_windows * training.context_tokens / training.stream.num_tokens}
    facts: dict[str, int | float | str] = {}
    for name, (num_tokens, epochs) in training.drawn(num_windows).items():
        facts |= {f"{name}_tokens": num_tokens, f"{name}_epochs": epochs}
    return facts
