"""Encodes text and decodes ids with a tokenizer folder in the Hugging Face format."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
import tokenizers
from numpy.typing import NDArray

from lmcore.lineage import digest_of
from lmcore.tokenizers.encoder import PieceEncoder

TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
CHAT_TEMPLATE = "chat_template.jinja"

DECIDES_IDS = ("normalizer", "pre_tokenizer", "model", "decoder", "added_tokens")
"""The parts of tokenizer.json on which ids depend; the rest is how a library likes to frame, pad and cut."""


class TokenizerError(ValueError):
    """A tokenizer folder that cannot be used, or text or ids that it cannot take."""


class Tokenizer:
    """Text to ids and back; a text that spells a control token encodes to the letters of its name."""

    def __init__(self, document: dict[str, Any], eos_token: str, pad_token: str | None = None) -> None:
        """From the content of a tokenizer.json and the tokens that end a text and fill a row."""
        self._backend = tokenizers.Tokenizer.from_str(json.dumps(document))
        self._backend.no_padding()
        self._backend.no_truncation()
        self._backend.encode_special_tokens = True
        self.digest: str = digest_of({part: document.get(part) for part in DECIDES_IDS})
        """SHA-256 of what decides ids: equal digests give equal ids."""
        self.vocab_size: int = 1 + max(self._backend.get_vocab(with_added_tokens=True).values())
        added = document.get("added_tokens") or []
        self.control_ids: dict[str, int] = {t["content"]: t["id"] for t in added if t["special"]}
        """The control tokens by name; `encode` never gives one of these ids."""
        self.eos_id: int = self.control_id(eos_token)
        self.pad_id: int = self.control_id(pad_token) if pad_token else self.eos_id
        self._pieces = PieceEncoder(document, self.eos_id) if PieceEncoder.is_known(document) else None

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Open a folder with tokenizer.json and tokenizer_config.json (a model's folder has both, too).

        Raises:
            TokenizerError: a file is missing or does not parse, or no end-of-text token is named.
        """
        document, settings = (_read_json(Path(folder) / name) for name in (TOKENIZER, TOKENIZER_CONFIG))
        eos_token = _token_name(settings.get("eos_token"))
        if eos_token is None:
            raise TokenizerError(
                f"{Path(folder) / TOKENIZER_CONFIG} names no eos_token: add the token that ends a text"
            )
        try:
            return cls(document, eos_token, _token_name(settings.get("pad_token")))
        except TokenizerError:
            raise
        except Exception as error:  # the Rust library raises plain Exception
            raise TokenizerError(
                f"{Path(folder) / TOKENIZER} is no tokenizer: {_first_line(error)}"
            ) from None

    def control_id(self, name: str) -> int:
        """The id of a control token.

        Raises:
            TokenizerError: there is none of that name.
        """
        if name not in self.control_ids:
            raise TokenizerError(f"no control token {name!r}; known: {', '.join(sorted(self.control_ids))}")
        return self.control_ids[name]

    def encode(self, text: str) -> list[int]:
        """The ids of a text, none of them a control id, nothing added before or behind.

        Raises:
            TokenizerError: the text holds half of a surrogate pair, which UTF-8 cannot spell.
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for many texts at once, on all cores, in their order."""
        try:
            encoded = self._backend.encode_batch_fast(texts, add_special_tokens=False)
        except TypeError:
            _refuse_surrogates(texts)
            raise
        return [encoding.ids for encoding in encoded]

    def encode_documents(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All documents' ids in one row, each with its end-of-text token, and how many each has, (N,).

        Many times faster than `encode_batch` where text repeats its words, with the same ids. Safe to call
        from several threads.
        """
        if self._pieces:
            try:
                return self._pieces.encode(texts)
            except UnicodeEncodeError:
                _refuse_surrogates(texts)
        encoded = self.encode_batch(texts)
        lengths = np.fromiter((len(ids) + 1 for ids in encoded), dtype=np.int64, count=len(encoded))
        row = chain.from_iterable(chain.from_iterable((ids, (self.eos_id,)) for ids in encoded))
        return np.fromiter(row, dtype=np.int64, count=int(lengths.sum())), lengths

    def decode(self, ids: Iterable[int], *, keep_control: bool = False) -> str:
        """The text that ids spell; control tokens are left out, or spelled by name on demand.

        Bytes that are no UTF-8, as at a cut within a letter, become U+FFFD.

        Raises:
            TokenizerError: an id is outside of the vocabulary.
        """
        row = [int(number) for number in ids]
        if row and not 0 <= min(row) <= max(row) < self.vocab_size:
            bad = next(number for number in row if not 0 <= number < self.vocab_size)
            raise TokenizerError(f"token id {bad} is outside of the vocabulary of {self.vocab_size}")
        return str(self._backend.decode(row, skip_special_tokens=not keep_control))

    @cached_property
    def token_bytes(self) -> NDArray[np.int64]:
        """How many UTF-8 bytes of text each id stands for, (V,); 0 for control tokens."""
        lengths = np.zeros(self.vocab_size, dtype=np.int64)
        for token, number in self._backend.get_vocab(with_added_tokens=False).items():
            lengths[number] = len(token)  # byte level: one printable letter stands for each byte
        for number, added in self._backend.get_added_tokens_decoder().items():
            lengths[number] = 0 if added.special else len(added.content.encode())
        return lengths


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise TokenizerError(
            f"{path.parent} has no {path.name}: a tokenizer folder holds both JSON files"
        ) from None
    except ValueError as error:
        raise TokenizerError(f"{path} is not JSON: {_first_line(error)}") from None
    if not isinstance(document, dict):
        raise TokenizerError(f"{path} holds a {type(document).__name__}, expected an object")
    return document


def _token_name(entry: Any) -> str | None:
    """A token as tokenizer_config.json spells it: a string, or an object with its content."""
    return entry.get("content") if isinstance(entry, dict) else entry


def _refuse_surrogates(texts: Sequence[str]) -> None:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise TokenizerError(
                f"text with the lone surrogate {text[error.start]!r} at character {error.start} has no UTF-8 "
                "form: decode its source with errors='replace'"
            ) from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
