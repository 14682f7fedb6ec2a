from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmcore.tokenizers.vocabularies import Settings, vocabularies


@vocabularies.register
def character(texts: Iterator[str], config: Settings, scratch: Path | None = None) -> dict[str, Any]:
    """The most frequent characters, up to `vocab_size` tokens in all; the bytes spell the others."""
    from lmcore.tokenizers.document import FIRST_TOKENS, write_document
    from lmcore.tokenizers.piece_counts import most_frequent

    found = most_frequent(texts, config.model_copy(update={"pre_tokenizer": "character"}), scratch)
    return write_document([*FIRST_TOKENS, *found], "character")
