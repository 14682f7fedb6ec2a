"""Several models on the same text: what each scores, whether it differs from a reference, what it writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lmcore.batching.token_shards import TokenShards
from lmcore.config import did_you_mean
from lmcore.evaluate.comparison_table import ALL, ComparisonTable, Floats
from lmcore.evaluate.scoring import Progress, define, load_model, open_side, score_side, write_on
from lmcore.evaluate.settings import ComparisonConfig
from lmcore.lineage import Facts
from lmcore.tokenizers.tokenizer import Tokenizer


class Trial(NamedTuple):
    """What a model did: nats of each document, (N,), and what it wrote behind each prompt."""

    nats: Floats
    texts: list[str]


def compare_models(
    models: Mapping[str, Path],
    shards: Path,
    out: Path,
    settings: ComparisonConfig,
    side: str,
    reference: str,
    progress: Progress | None = None,
) -> Facts:
    """Score models by name on one side of the shards, document by document, each against the reference.

    Every model reads the same windows. Writes into `out`: comparison.json (bits per byte of each model and
    their differences to the reference, overall and by source, with 95 % intervals over documents, and
    verdicts in words), documents.parquet (a row per document and model) and samples.jsonl (a line per prompt,
    with what each model goes on with). `progress` is told windows scored and in all.

    Returns:
        counts of the side, and of each model its bits per byte and difference to the reference, and `best`.

    Raises:
        ValueError: there is no reference of that name, a model's tokenizer is not the shards', the side is
            empty, or a source is named `all`.
    """
    settings = settings.resolved()
    if reference not in models:
        raise ValueError(f"no model named '{reference}' to compare with.{did_you_mean(reference, models)}")
    data = open_side(shards, side)
    spans = data.documents(side)
    if ALL in {span.source for span in spans}:
        raise ValueError(
            f"a source is named '{ALL}', which stands for all sources here; give it another name"
        )
    common = _common_context(models, data)
    context = settings.context_tokens or common
    stride = settings.stride or max(1, context * 3 // 4)
    out.mkdir(parents=True, exist_ok=True)
    trials = {
        name: _try(folder, data, side, settings, (context, stride), _part(progress, place, len(models)))
        for place, (name, folder) in enumerate(models.items())
    }
    nats = {name: trial.nats for name, trial in trials.items()}
    dials = {"num_resamples": settings.num_resamples, "seed": settings.seed}
    table = ComparisonTable(spans, nats, reference, dials)
    report = {"side": side, "definition": define(settings, side, context, stride), **table.report()}
    text = json.dumps(report, sort_keys=True, indent=1) + "\n"
    (out / "comparison.json").write_text(text, encoding="utf-8")
    table.write(out / "documents.parquet")
    _write_samples(trials, settings, out / "samples.jsonl")
    return table.facts()


def _common_context(models: Mapping[str, Path], data: TokenShards) -> int:
    """The context that all models were trained on; what does not compare is refused before any is scored."""
    contexts = []
    for name, folder in models.items():
        digest = Tokenizer.load(folder).digest
        if digest != data.index.tokenizer:
            raise ValueError(
                f"model '{name}' has tokenizer {digest[:12]}, the shards in {data.folder} were made with "
                f"{data.index.tokenizer[:12]}: models compare on the shards of the tokenizer that they share"
            )
        contexts.append(load_model(folder, data, "cpu").config.context_tokens)
    return min(contexts)


def _try(
    folder: Path,
    data: TokenShards,
    side: str,
    settings: ComparisonConfig,
    window: tuple[int, int],
    progress: Progress | None,
) -> Trial:
    model, tokenizer = load_model(folder, data, settings.device), Tokenizer.load(folder)
    context, stride = window
    nats = score_side(model, data, side, settings, context=context, stride=stride, progress=progress)
    write = partial(write_on, num_tokens=settings.sample_tokens, temperature=0.0, seed=settings.seed)
    return Trial(nats, [tokenizer.decode(write(model, tokenizer, prompt)) for prompt in settings.prompts])


def _part(progress: Progress | None, place: int, number: int) -> Progress | None:
    """The progress of one model of several that read the same windows."""
    return progress and (lambda done, total: progress(place * total + done, number * total))


def _write_samples(trials: Mapping[str, Trial], settings: ComparisonConfig, path: Path) -> None:
    """A line per prompt, with the models in their order: along a dial, what a reader wants to see."""
    lines = []
    for place, prompt in enumerate(settings.prompts):
        written = [{"model": name, "text": trial.texts[place]} for name, trial in trials.items()]
        record = {"prompt": prompt, "tokens": settings.sample_tokens, "continuations": written}
        lines.append(json.dumps(record, sort_keys=True, ensure_ascii=False) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
