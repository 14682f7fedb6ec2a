from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmcore.tokenizers.vocabularies import Settings, vocabularies


@vocabularies.register
def word(texts: Iterator[str], config: Settings, scratch: Path | None = None) -> dict[str, Any]:
    """The most frequent words as `pre_tokenizer` cuts them, up to `vocab_size`; bytes spell the others."""
    from lmcore.tokenizers.document import FIRST_TOKENS, write_document
    from lmcore.tokenizers.piece_counts import most_frequent

    return write_document([*FIRST_TOKENS, *most_frequent(texts, config, scratch)], config.pre_tokenizer)
