"""A model and a corpus's shards in; scores with intervals, a table of documents and samples out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lmcore.evaluate.scores import Scored, summarize, write_documents
from lmcore.evaluate.scoring import Progress, define, load_model, open_side, score_side, write_on
from lmcore.evaluate.settings import EvaluateConfig
from lmcore.models.transformer import Transformer
from lmcore.models.unigram import Unigram
from lmcore.tokenizers.tokenizer import Tokenizer

SIDE = "test"


def evaluate_model(
    model_folder: Path, shards: Path, out: Path, settings: EvaluateConfig, progress: Progress | None = None
) -> dict[str, int | float | str]:
    """Score a model on the test side beside a unigram model of the train side, and let it write.

    Writes scores.json, documents.parquet (one row per document) and samples.jsonl into `out`; returns the
    main scores as facts. `progress` is told windows scored and in all.

    Raises:
        ValueError: the model's tokenizer is not the shards', or the test side is empty.
    """
    settings = settings.resolved()
    tokenizer = Tokenizer.load(model_folder)
    data = open_side(shards, SIDE, tokenizer.digest)
    model = load_model(model_folder, data, settings.device)
    context = settings.context_tokens or model.config.context_tokens
    stride = settings.stride or max(1, context // 2)
    out.mkdir(parents=True, exist_ok=True)
    nats = score_side(model, data, SIDE, settings, context=context, stride=stride, progress=progress)
    unigram = Unigram(data.stream("train").count_ids(data.vocab_size))
    spans, stream = data.documents(SIDE), data.stream(SIDE)
    baseline = [unigram.nats(stream.tokens(span.first_token, span.num_tokens)).sum() for span in spans]
    scored = Scored(spans, nats, np.array(baseline), settings.num_resamples, settings.seed)
    definition = define(settings, SIDE, context, stride)
    definition["unigram"] = "counts of the train side, one added to each"
    scores = {"definition": definition, **summarize(scored)}
    write_documents(scored, out / "documents.parquet")
    _write_lines(_samples(model, tokenizer, settings), out / "samples.jsonl")
    text = json.dumps(scores, sort_keys=True, indent=1) + "\n"
    (out / "scores.json").write_text(text, encoding="utf-8")
    return _facts(scores)


def _samples(model: Transformer, tokenizer: Tokenizer, settings: EvaluateConfig) -> Iterator[dict[str, Any]]:
    """What the model writes after each prompt: the likeliest token each time, and by chance."""
    for prompt in settings.prompts:
        for temperature in (0.0, settings.temperature):
            ids = write_on(model, tokenizer, prompt, settings.sample_tokens, temperature, settings.seed)
            yield {
                "prompt": prompt,
                "temperature": temperature,
                "seed": settings.seed,
                "tokens": len(ids),
                "text": tokenizer.decode(ids),
            }


def _write_lines(records: Iterator[dict[str, Any]], path: Path) -> None:
    lines = (json.dumps(record, sort_keys=True, ensure_ascii=False) + "\n" for record in records)
    path.write_text("".join(lines), encoding="utf-8")


def _facts(scores: dict[str, Any]) -> dict[str, int | float | str]:
    facts: dict[str, int | float | str] = {name: scores[name] for name in ("documents", "tokens", "bytes")}
    for name in ("bits_per_byte", "perplexity"):
        for bound, value in scores["model"][name].items():
            if value is not None:
                facts[name if bound == "value" else f"{name}_{bound}"] = value
        facts[f"unigram_{name}"] = scores["unigram"][name]["value"]
    for source, summary in scores["sources"].items():
        facts[f"{source}_bits_per_byte"] = summary["model"]["bits_per_byte"]["value"]
    return facts
