"""The content of a tokenizer.json with a byte-level vocabulary, as `tokenizers` writes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models

from lmcore.tokenizers import patterns
from lmcore.tokenizers.byte_letters import LETTERS, spell
from lmcore.tokenizers.control import CONTROL_TOKENS
from lmcore.tokenizers.tokenizer import TokenizerError

BYTES_IN_ORDER = sorted(range(256), key=lambda byte: LETTERS[byte])
"""The order of the bytes' ids: that of the letters that stand for them."""
FIRST_TOKENS = [*(name.encode() for name in CONTROL_TOKENS), *(bytes([byte]) for byte in BYTES_IN_ORDER)]
"""What the first ids spell in every vocabulary that is learned here."""


def write_document(
    tokens: Sequence[bytes], rule: str, merges: Sequence[tuple[int, int]] | None = None
) -> dict[str, Any]:
    """A vocabulary in the order of its ids.

    Args:
        tokens: FIRST_TOKENS, then what was learned.
        rule: name of the rule that cuts text into pieces.
        merges: pairs of ids; without them a piece is one token if the vocabulary has it, else bytes.

    Raises:
        TokenizerError: a control token's name was learned as a word.
    """
    if forged := set(FIRST_TOKENS[: len(CONTROL_TOKENS)]).intersection(tokens[len(CONTROL_TOKENS) :]):
        raise TokenizerError(
            f"the corpus spells {min(forged).decode()} so often that it was learned as a word: "
            "remove it from the text"
        )
    spelled = [*CONTROL_TOKENS, *(spell(token) for token in tokens[len(CONTROL_TOKENS) :])]
    model = models.BPE(
        vocab={token: number for number, token in enumerate(spelled)},
        merges=[(spelled[left], spelled[right]) for left, right in merges or ()],
        ignore_merges=merges is None,
    )
    backend = Tokenizer(model)
    backend.pre_tokenizer = patterns.pre_tokenizer(rule)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in CONTROL_TOKENS])
    document: dict[str, Any] = json.loads(backend.to_str())
    return document
