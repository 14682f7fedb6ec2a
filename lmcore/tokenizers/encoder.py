"""Encodes by remembering: each distinct piece of text is merged once, by `tokenizers`, and looked up after.

The ids are those of `tokenizers`, because a piece's ids depend on the piece alone. Cutting, looking up and
writing out ids are operations on whole arrays; they leave the interpreter free for other threads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from lmcore.tokenizers import patterns
from lmcore.tokenizers.key_table import grown
from lmcore.tokenizers.piece_table import PieceTable, distinct, take
from lmcore.tokenizers.pieces import PADDING, PART_END, TEXT_END, Pieces, cut

MEMORY_BYTES = 128_000_000
"""What remembered pieces may take; when they are more, remembering begins anew."""
NEW_SHARE = 0.3
"""Where more of a block's pieces are new and distinct, merging it whole costs less than learning them."""
_GROUP = 256
"""Pieces handed to `tokenizers` as the words of one text: each text costs as much as several words."""

Ids = NDArray[np.int64]


class PieceEncoder:
    """Byte-level BPE over a published rule, without a normaliser.

    Args:
        document: content of a tokenizer.json for which `is_known` holds.
        end_id: the id written behind each text.
    """

    def __init__(self, document: dict[str, Any], end_id: int) -> None:
        self.pattern = patterns.name_of(document["pre_tokenizer"])
        self._end_id = end_id
        merges_alone = {**document, "pre_tokenizer": None, "post_processor": None, "added_tokens": []}
        self._merges = tokenizers.Tokenizer.from_str(json.dumps(merges_alone))
        self._merges.no_padding()
        self._merges.no_truncation()
        self._merges.pre_tokenizer = patterns.whole_text()
        self._memory = _Memory(end_id)

    @staticmethod
    def is_known(document: dict[str, Any]) -> bool:
        """Whether ids depend on nothing but the pieces of a known rule."""
        model = document.get("model") or {}
        return (
            not document.get("normalizer")
            and model.get("type", "BPE") == "BPE"
            and not model.get("dropout")
            and not model.get("continuing_subword_prefix")
            and not model.get("end_of_word_suffix")
            and all(token["special"] for token in document.get("added_tokens") or [])
            and patterns.name_of(document.get("pre_tokenizer")) is not None
        )

    def encode(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        """The ids of all texts in one row, `end_id` behind each, and how many each has, (N,).

        Raises:
            UnicodeEncodeError: a text holds half of a surrogate pair.
        """
        assert self.pattern
        rows, counts = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        is_last = [np.zeros(0, dtype=bool)]
        for block in cut(texts, self.pattern):
            row, of_parts = self._encode_block(block)
            rows.append(row)
            counts.append(of_parts)
            is_last.append(np.frombuffer(block.data, dtype=np.uint8)[block.starts[block.ends]] == TEXT_END)
        ends = np.flatnonzero(np.concatenate(is_last))
        upto = np.cumsum(np.concatenate(counts))[ends]
        return np.concatenate(rows), np.diff(upto, prepend=0)

    def _encode_block(self, block: Pieces) -> tuple[Ids, Ids]:
        """The ids of a block and how many each of its parts has."""
        if self._memory.nbytes > MEMORY_BYTES:
            self._memory = _Memory(self._end_id)
        memory = self._memory
        numbers = memory.table.find(block)
        missing = np.flatnonzero(numbers < 0)
        if len(missing):
            unknown = take(block, missing)
            new, times = distinct(unknown)
            if len(times) > NEW_SHARE * len(numbers):
                self._learn(memory, take(new, np.flatnonzero(times > 1)))
                return self._encode_whole(block)
            self._learn(memory, new)
            numbers[missing] = memory.table.find(unknown)
        row, lengths = memory.ids(numbers)
        return row, np.add.reduceat(lengths, np.append(0, block.ends[:-1] + 1))

    def _learn(self, memory: _Memory, pieces: Pieces) -> None:
        words = [pieces.spelled(place).decode() for place in range(len(pieces.starts))]
        ids, lengths = self._merge([words[first : first + _GROUP] for first in range(0, len(words), _GROUP)])
        with memory.table.lock:
            is_new = memory.table.find(pieces) < 0  # another thread may have been here meanwhile
            memory.add(take(pieces, np.flatnonzero(is_new)), ids[np.repeat(is_new, lengths)], lengths[is_new])

    def _encode_whole(self, block: Pieces) -> tuple[Ids, Ids]:
        """A block without memory: its pieces are words for `tokenizers`, part by part."""
        parts, first = [], 0
        for end in block.ends.tolist():
            parts.append([block.spelled(place).decode() for place in range(first, end)])
            first = end + 1
        ids, lengths = self._merge(parts)
        upto = np.append(0, np.cumsum(lengths))[block.ends - np.arange(len(block.ends))]
        is_last = np.frombuffer(block.data, dtype=np.uint8)[block.starts[block.ends]] == TEXT_END
        return np.insert(ids, upto[is_last], self._end_id), np.diff(upto, prepend=0) + is_last

    def _merge(self, words: list[list[str]]) -> tuple[Ids, Ids]:
        """The ids of words in one row, and how many each word has."""
        encoded = self._merges.encode_batch(words, is_pretokenized=True, add_special_tokens=False)
        ids = np.fromiter(chain.from_iterable(each.ids for each in encoded), dtype=np.int64)
        lengths = [
            np.bincount(np.array(each.word_ids, dtype=np.int64), minlength=len(group))
            for each, group in zip(encoded, words, strict=True)
        ]
        return ids, np.concatenate([np.zeros(0, dtype=np.int64), *lengths])


class _Memory:
    """The ids of every piece seen so far."""

    def __init__(self, end_id: int) -> None:
        self.table = PieceTable()
        self._row = np.zeros(1 << 12, dtype=np.int32)
        self._used = 0
        self._spans = np.zeros((1 << 10, 2), dtype=np.int64)
        for piece, ids in ((PART_END, []), (TEXT_END, [end_id])):
            end = Pieces(bytes([piece]) + bytes(PADDING), np.array([0]), np.array([1]), np.array([0]))
            self.add(end, np.array(ids, dtype=np.int64), np.array([len(ids)]))

    @property
    def nbytes(self) -> int:
        return self.table.nbytes + self._row.nbytes + self._spans.nbytes

    def add(self, pieces: Pieces, row: Ids, lengths: Ids) -> None:
        """Remember the ids of new, distinct pieces."""
        size = len(self.table)
        self._row = grown(self._row, self._used + len(row))
        self._row[self._used : self._used + len(row)] = row
        self._spans = grown(self._spans, size + len(lengths))
        self._spans[size : size + len(lengths), 0] = self._used + np.cumsum(lengths) - lengths
        self._spans[size : size + len(lengths), 1] = lengths
        self._used += len(row)
        self.table.add(pieces)  # last: whoever finds a piece finds its ids

    def ids(self, numbers: Ids) -> tuple[Ids, Ids]:
        """The ids of pieces in one row, and how many each has."""
        spans = self._spans[numbers]
        starts, lengths = spans[:, 0], spans[:, 1]
        before = np.cumsum(lengths)
        total = int(before[-1]) if len(before) else 0
        before -= lengths
        places = np.repeat(starts - before, lengths)
        places += np.arange(total)
        return self._row[places].astype(np.int64), lengths
