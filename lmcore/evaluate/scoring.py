"""What every score of a model begins with: shards that its tokenizer made, and the nats of each document."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lmcore.batching.token_shards import TokenShards
from lmcore.evaluate.perplexity import one_thread_per_pass, score_documents
from lmcore.evaluate.settings import ScoringConfig
from lmcore.generate.decode import generate
from lmcore.interop.hugging_face import load_folder
from lmcore.models.transformer import Transformer
from lmcore.tokenizers.tokenizer import Tokenizer

Progress = Callable[[int, int], None]

LOGITS_PER_PASS = {"cpu": 1 << 22, "cuda": 1 << 27}
"""Numbers in the logits of one forward pass: few enough for a processor's caches, enough to fill a GPU."""


def open_side(shards: Path, side: str, tokenizer: str | None = None) -> TokenShards:
    """Shards with documents on that side.

    Raises:
        ValueError: another tokenizer made them than the one of that digest, or the side is empty.
    """
    data = TokenShards(shards, tokenizer=tokenizer)
    if not data.side(side).documents:
        raise ValueError(
            f"{shards} has no {side} documents: give {side}_share a value above 0 in the corpus's split"
        )
    return data


def load_model(folder: Path, data: TokenShards, device: str) -> Transformer:
    """The model of a folder.

    Raises:
        ValueError: it does not know all tokens of the shards.
    """
    model = load_folder(folder, device)
    if model.vocab_size < data.vocab_size:
        raise ValueError(
            f"{folder} knows {model.vocab_size} tokens, its tokenizer has {data.vocab_size}: "
            "the two do not belong together; save the model with the tokenizer that it was trained with"
        )
    return model


def score_side(
    model: Transformer,
    data: TokenShards,
    side: str,
    settings: ScoringConfig,
    *,
    context: int,
    stride: int,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """The nats that each document of a side costs, (N,), in the order of the shards.

    In bf16 the whole model is cast once, as in training: twice as fast as casting in each product.
    """
    if settings.precision == "bf16":
        model = copy.deepcopy(model).to(torch.bfloat16)
    stream = data.stream(side)
    documents = [stream.tokens(span.first_token, span.num_tokens) for span in data.documents(side)]
    nats = score_documents(
        model,
        documents,
        data.eos_id,
        context=context,
        stride=stride,
        batch_tokens=max(1, LOGITS_PER_PASS[settings.device] // data.vocab_size),
        device=settings.device,
        progress=progress,
    )
    return np.array([row.sum() for row in nats])


def define(settings: ScoringConfig, side: str, context: int, stride: int) -> dict[str, Any]:
    """What is measured: scores with another definition do not compare."""
    return {
        "side": side,
        "context_tokens": context,
        "stride": stride,
        "prefix": "one end-of-text token before each document, not scored",
        "scored": "every token of each document and the end-of-text token behind it, once",
        "bits_per_byte": "summed nats / ln 2 / UTF-8 bytes of the documents",
        "interval": f"95 % over documents, not seeds: percentile bootstrap, {settings.num_resamples} draws",
        "precision": settings.precision,
    }


def write_on(
    model: Transformer, tokenizer: Tokenizer, prompt: str, num_tokens: int, temperature: float, seed: int
) -> list[int]:
    """The ids that a model writes behind a prompt at the start of a text, up to an end-of-text token."""
    with one_thread_per_pass():
        written = generate(
            model,
            [tokenizer.eos_id, *tokenizer.encode(prompt)],
            num_tokens,
            temperature=temperature,
            seed=seed,
            stop_ids=(tokenizer.eos_id,),
        )
        return list(written)
