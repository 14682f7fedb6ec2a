from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmcore.tokenizers.vocabularies import Settings, vocabularies


@vocabularies.register
def bpe(texts: Iterator[str], config: Settings, scratch: Path | None = None) -> dict[str, Any]:
    """Pieces of words, by merging the pair that occurs most often again and again."""
    from lmcore.tokenizers.bpe import train

    return train(texts, config, scratch)
