"""A corpus in, a tokenizer folder in the Hugging Face format out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lmcore.chat.template import CHATML
from lmcore.tokenizers.compression import measure_compression
from lmcore.tokenizers.control import CONTROL_TOKENS, END_OF_TEXT, PAD
from lmcore.tokenizers.settings import TokenizerConfig
from lmcore.tokenizers.texts import read_batches, side_file
from lmcore.tokenizers.tokenizer import CHAT_TEMPLATE, TOKENIZER, TOKENIZER_CONFIG, Tokenizer

Progress = Callable[[int, int], None]


def train_tokenizer(
    corpus: Path, out: Path, config: TokenizerConfig, progress: Progress | None = None
) -> dict[str, int | float | str]:
    """Learn a vocabulary from the train side alone, write its folder and how well it compresses each source.

    Returns sizes and compression as facts. `progress` is told documents measured and in all.

    Raises:
        TokenizerError: the train side is too small for the vocabulary.
        ValueError: `corpus` is no corpus folder, or its train side is empty.
    """
    num_bytes = _text_bytes(corpus)
    seen = _Seen()
    out.mkdir(parents=True, exist_ok=True)
    texts = seen.count(_sample(corpus, (config.sample_bytes or num_bytes) / num_bytes))
    document = config.vocabulary.build()(texts, config, out)
    _write_folder(document, out)
    tokenizer = Tokenizer.load(out)
    compression = measure_compression(corpus, tokenizer, progress, config.compare_with)
    _write_json(compression, out / "compression.json")
    return {
        "vocab_size": tokenizer.vocab_size,
        "merges": len(document["model"]["merges"]),
        "trained_on_documents": seen.documents,
        "trained_on_characters": seen.characters,
        "unused_vocabulary_share": compression["unused_vocabulary_share"],
        **{f"{side}_bytes_per_token": row["bytes_per_token"] for side, row in compression["sides"].items()},
    }


class _Seen:
    """Counts what an iterator of texts gave."""

    def __init__(self) -> None:
        self.documents = self.characters = 0

    def count(self, texts: Iterator[str]) -> Iterator[str]:
        for text in texts:
            self.documents += 1
            self.characters += len(text)
            yield text


def _sample(corpus: Path, share: float) -> Iterator[str]:
    """The train side's texts, or that share of them whose digests are smallest: equal for any file order."""
    limit = int(min(share, 1.0) * (1 << 32))
    for batch in read_batches(corpus, "train", ("text", "digest")):
        for text, digest in zip(batch["text"], batch["digest"], strict=True):
            if int(digest[:8], 16) < limit:
                yield text


def _text_bytes(corpus: Path) -> int:
    """UTF-8 bytes on the train side, counted without making Python strings of them."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    path = side_file(corpus, "train")
    with pq.ParquetFile(path) as file:
        batches = file.iter_batches(columns=["text"])
        total = sum(pc.sum(pc.binary_length(batch["text"])).as_py() or 0 for batch in batches)
    if not total:
        raise ValueError(
            f"{path} has no text to learn from: add text, or loosen the filters that rejected it"
        )
    return int(total)


def _write_folder(document: dict[str, Any], out: Path) -> None:
    """The three files that `transformers.AutoTokenizer` reads."""
    # Not sorted by name: `tokenizers` writes the vocabulary in the order of ids, which is easier to read.
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (out / TOKENIZER).write_text(text, encoding="utf-8")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": END_OF_TEXT,
        "pad_token": PAD,
        "unk_token": None,
        "additional_special_tokens": [name for name in CONTROL_TOKENS if name not in (END_OF_TEXT, PAD)],
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    _write_json(settings, out / TOKENIZER_CONFIG)
    (out / CHAT_TEMPLATE).write_text(CHATML, encoding="utf-8")


def _write_json(value: Any, path: Path) -> None:
    path.write_text(json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
