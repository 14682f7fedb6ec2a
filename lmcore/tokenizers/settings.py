from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from lmcore.config import PLAIN_NAME, Config
from lmcore.registry import Part, Registry
from lmcore.tokenizers.control import CONTROL_TOKENS
from lmcore.tokenizers.vocabularies import vocabularies

SMALLEST_VOCABULARY = 256 + len(CONTROL_TOKENS)
PreTokenizer = Literal["gpt2", "gpt4", "llama3", "qwen2"]


class VocabularyPart(Part):
    """A kind of vocabulary."""

    registry: ClassVar[Registry[Any]] = vocabularies


class ReferenceConfig(Config):
    """A vocabulary of others, whose compression the report sets beside one's own."""

    name: str = Field(pattern=PLAIN_NAME)
    file: str
    """A tokenizer.json or a .tiktoken file: its path, or `package:path` within an installed package."""
    pre_tokenizer: PreTokenizer | None = None
    """The rule that goes with a .tiktoken file, which holds none."""


class TokenizerConfig(Config):
    """How to learn a vocabulary from the training side of a corpus."""

    vocabulary: VocabularyPart = VocabularyPart(type="bpe")
    """What tokens are: `bpe`, `word`, `character` or `byte`."""
    vocab_size: int = Field(4096, ge=SMALLEST_VOCABULARY, le=1_000_000)
    """Tokens in all: the control tokens, the 256 bytes, and one for each merge, word or character learned."""
    pre_tokenizer: PreTokenizer = "gpt2"
    """Where text may be cut into words before merging; gpt4 and llama3 cut alike, under two names."""
    min_frequency: int = Field(2, ge=1)
    """A pair of tokens seen fewer times than this is never merged, a rarer word or character not taken."""
    sample_bytes: int | None = Field(None, ge=1)
    """Learn from about so much text, whole documents chosen by their digest; without it from all."""
    memory_bytes: int = Field(1_000_000_000, ge=20_000_000)
    """About what training keeps in memory; tables that outgrow it go to disk. The vocabulary is the same."""
    compare_with: tuple[ReferenceConfig, ...] = ()
    """Vocabularies of others that the report measures on the same text."""
