"""How much of held-out text stands word for word in the training data: beside it, copying can be judged.

People repeat each other too: proverbs, titles, formulas. A model copies where it does so more than they do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lmcore.batching.copied import WORDS, CopiedPassages
from lmcore.batching.token_shards import TokenShards
from lmcore.tokenizers.tokenizer import Tokenizer

PASSAGES = 200
MOST_WORDS = 10_000
"""Of all passages together."""
LENGTHS = (256, 128, 64, 32, 16, WORDS)
"""Words that a passage may have: the most that the text has as well."""


class CopyingRate(NamedTuple):
    """What is copied of passages from held-out documents."""

    num_documents: int
    words_each: int
    share: float
    """Of all their words."""
    shares: tuple[float, ...]
    """Of each passage, in order of size."""

    def at_least(self, share: float) -> int:
        """How many of the passages have at least this share of copied words."""
        return sum(each >= share for each in self.shares)


def length_for(num_words: int) -> int | None:
    """How long passages are that are set beside a text of so many words; None for too short a text."""
    return next((length for length in LENGTHS if length <= num_words), None)


def copying_rate(
    search: CopiedPassages, shards: TokenShards, tokenizer: Tokenizer, length: int, side: str = "test"
) -> CopyingRate | None:
    """What is copied of passages of so many words of a held-out side; None where it has none."""
    passages = list(held_out(shards, tokenizer, side, length))
    if not passages:
        return None
    copied = search.find([passage for _, passage in passages])
    shares = tuple(sorted(each.share for each in copied))
    return CopyingRate(len({document for document, _ in passages}), length, sum(shares) / len(shares), shares)


def held_out(shards: TokenShards, tokenizer: Tokenizer, side: str, length: int) -> Iterator[tuple[int, str]]:
    """(number of a document, passage of so many words), from all over a side, the same each time."""
    documents = shards.documents(side)
    wanted = max(1, min(PASSAGES, MOST_WORDS // length))
    if not documents:
        return
    stream, chosen = shards.stream(side), documents[:: max(1, len(documents) // wanted)][:wanted]
    each, given = -(-wanted // len(chosen)), 0
    for number, document in enumerate(chosen):
        words = tokenizer.decode(stream.tokens(document.first_token, document.num_tokens).tolist()).split()
        room = len(words) // length
        for place in range(min(each, room, wanted - given)):
            begin = place * room // min(each, room) * length
            yield number, " ".join(words[begin : begin + length])
            given += 1
