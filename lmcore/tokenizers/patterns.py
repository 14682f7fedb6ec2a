"""The published rules by which text is cut into pieces before merging; no merge crosses a cut.

`gpt4` is the rule as GPT-4's vocabulary was trained with. Later rewrites of it encode alike and cut
otherwise, so that a vocabulary learned with one of them would be another.
"""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Regex, pre_tokenizers

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}DIGITS"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "gpt4": _WORDS.replace("DIGITS", "{1,3}"),
    "llama3": _WORDS.replace("DIGITS", "{1,3}"),
    "qwen2": _WORDS.replace("DIGITS", ""),
}
"""Llama 3 took GPT-4's rule over; llama.cpp knows the two by different names."""
_ALL = {**PATTERNS, "character": r"[\s\S]"}
"""One rule more, for vocabularies of characters."""


def pre_tokenizer(name: str) -> Any:
    """The rule as `tokenizers` applies it, bytes spelled as printable letters behind it."""
    if name == "gpt2":  # built into the byte level
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_ALL[name]), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def whole_text() -> Any:
    """No cut at all: what is given is one piece."""
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def name_of(written: dict[str, Any] | None) -> str | None:
    """The rule that a tokenizer.json holds as `pre_tokenizer`; None where it is none of these.

    What only moves offsets (`trim_offsets`) does not count.
    """
    wanted = _essence(written)
    return next((name for name in _ALL if _essence(_written(name)) == wanted), None)


def _written(name: str) -> dict[str, Any]:
    """A rule as tokenizer.json holds it."""
    text: str = pre_tokenizer(name).__getstate__().decode()
    return dict(json.loads(text))


def _essence(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _essence(item) for name, item in value.items() if name != "trim_offsets"}
    return [_essence(item) for item in value] if isinstance(value, list) else value
