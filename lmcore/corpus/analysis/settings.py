from __future__ import annotations

from pydantic import Field

from lmcore.config import Config


class SkipGramConfig(Config):
    """How word vectors are learned from the train side: skip-gram with negative sampling."""

    width: int = Field(100, ge=2, le=1000)
    """Numbers in a vector."""
    window: int = Field(5, ge=1, le=50)
    """How many words before and behind count as context at most; for each word it is drawn from 1 to this."""
    negatives: int = Field(5, ge=1, le=100)
    """Words by chance that each pair is told apart from."""
    epochs: int = Field(5, ge=1)
    """How often the text is gone through."""
    min_count: int = Field(5, ge=1)
    """A word that is rarer on the train side has no vector."""
    subsample: float = Field(1e-3, gt=0, le=1)
    """Of words that are a larger share of the text than this, only some occurrences are learned from."""
    learning_rate: float = Field(0.025, gt=0)
    """At the start; it falls in a straight line to nearly nothing."""
    remove_first_component: bool = True
    """Take out of documents' vectors the direction in which nearly all of them point."""
    seed: int = Field(0, ge=0, lt=1 << 32)
