from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmcore.tokenizers.vocabularies import Settings, vocabularies


@vocabularies.register
def byte(texts: Iterator[str], config: Settings, scratch: Path | None = None) -> dict[str, Any]:
    """The bytes of UTF-8 and nothing else: `vocab_size` is not used up, the texts are not needed."""
    from lmcore.tokenizers.document import FIRST_TOKENS, write_document

    for _ in texts:  # read, so that what was seen is counted as for every vocabulary
        pass
    return write_document(FIRST_TOKENS, config.pre_tokenizer)
