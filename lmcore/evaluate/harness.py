"""A model and a corpus's shards in; scores with intervals, a table of documents and samples out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmcore.batching.token_shards import TokenShards
from lmcore.evaluate.perplexity import Logits, one_thread_per_pass, score_documents
from lmcore.evaluate.scores import Scored, summarize, write_documents
from lmcore.evaluate.settings import EvaluateConfig
from lmcore.generate.decode import generate
from lmcore.interop.hugging_face import load_folder
from lmcore.models.transformer import Transformer
from lmcore.models.unigram import Unigram
from lmcore.tokenizers.tokenizer import Tokenizer

Progress = Callable[[int, int], None]

SIDE = "test"
LOGITS_PER_PASS = {"cpu": 1 << 22, "cuda": 1 << 27}
"""Numbers in the logits of one forward pass: few enough for a processor's caches, enough to fill a GPU."""


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
    data = TokenShards(shards, tokenizer=tokenizer.digest)
    if not data.side(SIDE).documents:
        raise ValueError(
            f"{shards} has no {SIDE} documents: give {SIDE}_share a value above 0 in the corpus's split"
        )
    model = load_folder(model_folder, settings.device)
    if model.vocab_size < data.vocab_size:
        raise ValueError(
            f"{model_folder} knows {model.vocab_size} tokens, its tokenizer has {data.vocab_size}: "
            "the two do not belong together; save the model with the tokenizer that it was trained with"
        )
    context = settings.context_tokens or model.config.context_tokens
    stride = settings.stride or max(1, context // 2)
    out.mkdir(parents=True, exist_ok=True)
    scored = _score(model, data, settings, context, stride, progress)
    scores = {"definition": _definition(settings, context, stride), **summarize(scored)}
    write_documents(scored, out / "documents.parquet")
    _write_lines(_samples(model, tokenizer, settings), out / "samples.jsonl")
    text = json.dumps(scores, sort_keys=True, indent=1) + "\n"
    (out / "scores.json").write_text(text, encoding="utf-8")
    return _facts(scores)


def _score(
    model: Transformer,
    data: TokenShards,
    settings: EvaluateConfig,
    context: int,
    stride: int,
    progress: Progress | None,
) -> Scored:
    spans, stream = data.documents(SIDE), data.stream(SIDE)
    documents = [stream.tokens(span.first_token, span.num_tokens) for span in spans]
    nats = score_documents(
        _in_precision(model, settings),
        documents,
        data.eos_id,
        context=context,
        stride=stride,
        batch_tokens=max(1, LOGITS_PER_PASS[settings.device] // data.vocab_size),
        device=settings.device,
        progress=progress,
    )
    unigram = Unigram(data.stream("train").count_ids(data.vocab_size))
    return Scored(
        spans,
        np.array([row.sum() for row in nats]),
        np.array([unigram.nats(tokens).sum() for tokens in documents]),
        settings.num_resamples,
        settings.seed,
    )


def _in_precision(model: Transformer, settings: EvaluateConfig) -> Logits:
    """The model's logits, with its products in bfloat16 if the settings say so."""

    def logits(tokens: torch.Tensor) -> torch.Tensor:
        with torch.autocast(settings.device, torch.bfloat16, enabled=settings.precision == "bf16"):
            result: torch.Tensor = model(tokens)
        return result

    return logits


def _samples(model: Transformer, tokenizer: Tokenizer, settings: EvaluateConfig) -> Iterator[dict[str, Any]]:
    """What the model writes after each prompt: the likeliest token each time, and by chance."""
    with one_thread_per_pass():
        for prompt in settings.prompts:
            for temperature in (0.0, settings.temperature):
                written = generate(
                    model,
                    [tokenizer.eos_id, *tokenizer.encode(prompt)],
                    settings.sample_tokens,
                    temperature=temperature,
                    seed=settings.seed,
                    stop_ids=(tokenizer.eos_id,),
                )
                ids = list(written)
                yield {
                    "prompt": prompt,
                    "temperature": temperature,
                    "seed": settings.seed,
                    "tokens": len(ids),
                    "text": tokenizer.decode(ids),
                }


def _definition(settings: EvaluateConfig, context: int, stride: int) -> dict[str, Any]:
    """What was measured: scores with another definition do not compare."""
    return {
        "side": SIDE,
        "context_tokens": context,
        "stride": stride,
        "prefix": "one end-of-text token before each document, not scored",
        "scored": "every token of each document and the end-of-text token behind it, once",
        "bits_per_byte": "summed nats / ln 2 / UTF-8 bytes of the documents",
        "interval": f"95 % over documents, not seeds: percentile bootstrap, {settings.num_resamples} draws",
        "unigram": "counts of the train side, one added to each",
        "precision": settings.precision,
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
