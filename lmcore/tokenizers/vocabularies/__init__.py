"""One kind of vocabulary a file: texts in, the content of a tokenizer.json out.

All of them are lossless: the 256 bytes are among their tokens, and spell what no other token does. A part is
asked for when settings are read, so it imports what it needs when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lmcore.registry import Registry

Settings = Any
"""A TokenizerConfig, which names these parts and so cannot be named by them."""
Learn = Callable[..., dict[str, Any]]

vocabularies: Registry[Learn] = Registry("vocabulary", "lmcore.tokenizers.vocabularies")
