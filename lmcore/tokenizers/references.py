"""Vocabularies of others, to compare with: a tokenizer.json, or ranks in the form of tiktoken.

A file is named by its path, or as `package:path`, where an installed package ships it. Nothing is fetched.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tokenizers
from numpy.typing import NDArray

from lmcore.tokenizers import patterns
from lmcore.tokenizers.byte_letters import spell
from lmcore.tokenizers.encoder import PieceEncoder
from lmcore.tokenizers.settings import ReferenceConfig
from lmcore.tokenizers.tokenizer import TokenizerError

Lengths = Callable[[Sequence[str]], NDArray[np.int64]]


class Reference(NamedTuple):
    """A vocabulary, opened."""

    vocab_size: int
    sha256: str
    lengths: Lengths
    """How many tokens each text has."""


def open_reference(config: ReferenceConfig) -> Reference:
    """Open a vocabulary to compare with.

    Raises:
        TokenizerError: there is no such file or package, or it holds no vocabulary.
    """
    path = find_file(config.file)
    content = path.read_bytes()
    try:
        document = _of_ranks(content, config) if path.suffix == ".tiktoken" else json.loads(content)
        backend = tokenizers.Tokenizer.from_str(json.dumps(document))
    except TokenizerError:
        raise
    except Exception as error:  # the Rust library raises plain Exception
        raise TokenizerError(f"{path} is no vocabulary: {(str(error).splitlines() or [''])[0]}") from None
    backend.no_padding()
    backend.no_truncation()
    backend.encode_special_tokens = True
    size = backend.get_vocab_size(with_added_tokens=True)
    return Reference(size, hashlib.sha256(content).hexdigest(), _lengths(document, backend))


def find_file(name: str) -> Path:
    """The file that a setting names.

    Raises:
        TokenizerError: it is not there.
    """
    package, _, inside = name.rpartition(":")
    if package:
        found = importlib.util.find_spec(package.partition(".")[0])
        if found is None or not found.submodule_search_locations:
            raise TokenizerError(
                f"no package {package!r} is installed to compare with: install it, or leave {name} out"
            )
        path = Path(found.submodule_search_locations[0], inside)
    else:
        path = Path(name).expanduser()
    if not path.is_file():
        raise TokenizerError(f"there is no vocabulary {path} to compare with")
    return path


def _lengths(document: dict[str, Any], backend: tokenizers.Tokenizer) -> Lengths:
    if PieceEncoder.is_known(document):
        known = PieceEncoder(document, 0)
        return lambda texts: known.encode(texts)[1] - 1

    def count(texts: Sequence[str]) -> NDArray[np.int64]:
        encoded = backend.encode_batch_fast(texts, add_special_tokens=False)
        return np.array([len(each.ids) for each in encoded], dtype=np.int64)

    return count


def _of_ranks(content: bytes, config: ReferenceConfig) -> dict[str, Any]:
    """A tokenizer.json that encodes as lines of base64 and rank do, with the rule that goes with them."""
    if config.pre_tokenizer is None:
        raise TokenizerError(
            f"{config.file} holds ranks alone: name in pre_tokenizer the rule that cuts text"
        )
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, content.splitlines())}
    parts = [_parts(token, rank, ranks) for token, rank in sorted(ranks.items(), key=lambda item: item[1])]
    backend = tokenizers.Tokenizer(
        tokenizers.models.BPE(
            vocab={spell(token): rank for token, rank in ranks.items()},
            merges=[(spell(left), spell(right)) for left, right in filter(None, parts)],
            ignore_merges=True,
        )
    )
    backend.pre_tokenizer = patterns.pre_tokenizer(config.pre_tokenizer)
    document: dict[str, Any] = json.loads(backend.to_str())
    return document


def _parts(token: bytes, rank: int, ranks: Mapping[bytes, int]) -> tuple[bytes, bytes] | None:
    """The two tokens that merging by rank puts together last; None for a byte."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        candidates = [ranks.get(left + right, rank) for left, right in pairwise(parts)]
        place = min(range(len(candidates)), key=candidates.__getitem__)
        if candidates[place] >= rank:
            return None  # reached only as a whole piece
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return (parts[0], parts[1]) if len(parts) == 2 else None
