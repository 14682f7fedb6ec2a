"""A model that stands for champion, or is it: opened, measured, and let read held-out text."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from lmcore.batching.shard_writer import encode_documents
from lmcore.evaluate.paired_scores import Floats
from lmcore.evaluate.perplexity import score_documents
from lmcore.evaluate.scoring import LOGITS_PER_PASS, Progress
from lmcore.evaluate.settings import GateConfig
from lmcore.interop.hugging_face import load_folder
from lmcore.models.transformer import Transformer
from lmcore.tokenizers.tokenizer import Tokenizer


class Contestant(NamedTuple):
    """A model folder, opened."""

    folder: Path
    model: Transformer
    tokenizer: Tokenizer

    @classmethod
    def open(cls, folder: Path, device: str) -> Contestant:
        """A model folder with its tokenizer.

        Raises:
            ValueError: it is no model, or its tokenizer has tokens that the model does not know.
        """
        tokenizer, model = Tokenizer.load(folder), load_folder(folder, device)
        if model.vocab_size < tokenizer.vocab_size:
            raise ValueError(
                f"{folder} knows {model.vocab_size} tokens, its tokenizer has {tokenizer.vocab_size}: "
                "the two do not belong together; save the model with the tokenizer that it was trained with"
            )
        return cls(folder, model, tokenizer)

    def size(self) -> dict[str, Any]:
        """Parameters, and the bytes of the files of weights."""
        return {
            "parameters": sum(weight.numel() for weight in self.model.parameters()),
            "weight_bytes": sum(path.stat().st_size for path in self.folder.glob("*.safetensors")),
            "vocab_size": self.tokenizer.vocab_size,
            "tokenizer": self.tokenizer.digest,
            "context_tokens": self.model.config.context_tokens,
        }

    def bytes_per_token(self, texts: Sequence[str]) -> float | None:
        """How long a token of this tokenizer is on these texts; None where there is no text."""
        tokens = sum(map(len, self.tokenizer.encode_batch(texts)))
        return sum(len(text.encode()) for text in texts) / tokens if tokens else None

    def window(self, settings: GateConfig) -> tuple[int, int]:
        """Context and stride, in tokens of its own."""
        context = settings.context_tokens or self.model.config.context_tokens
        return context, settings.stride or max(1, context * 3 // 4)

    def read(self, texts: Sequence[str], settings: GateConfig, progress: Progress | None = None) -> Floats:
        """The nats that each text costs, with the end-of-text token behind it, (N,).

        In bf16 the whole model is cast once, as in training.

        Raises:
            ValueError: the tokenizer loses some of a text, whose bits per byte would then be too few.
        """
        row, lengths = encode_documents(self.tokenizer, list(texts), np.dtype("<u4"))
        ends = np.cumsum(lengths)
        documents = [row[end - length : end] for end, length in zip(ends, lengths, strict=True)]
        for text, tokens in zip(texts, documents, strict=True):
            if (spelled := int(self.tokenizer.token_bytes[tokens].sum())) != len(text.encode()):
                raise ValueError(
                    f"a document has {len(text.encode())} bytes, the tokens of {self.folder} spell "
                    f"{spelled}: its tokenizer loses text; use a byte-level one without a normaliser"
                )
        is_half = settings.precision == "bf16"
        model = copy.deepcopy(self.model).to(torch.bfloat16) if is_half else self.model
        context, stride = self.window(settings)
        nats = score_documents(
            model, documents, self.tokenizer.eos_id, context=context, stride=stride,
            batch_tokens=max(1, LOGITS_PER_PASS[settings.device] // model.vocab_size),
            device=settings.device, progress=progress,
        )  # fmt: skip
        return np.array([each.sum() for each in nats], dtype=np.float64)
