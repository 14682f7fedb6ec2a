"""The token stream of each side of a corpus: written once as plain files, read by memory map.

Every document is followed by an end-of-text token. The concatenated shards of a side are its stream; nothing
is cut, padded or shuffled here. `windows.py` decides what a training step sees of it.
"""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmcore.batching import shard_index
from lmcore.batching.packing import PackedWindows
from lmcore.batching.settings import ShardsConfig
from lmcore.batching.shard_index import DocumentSpan, ShardIndex, SideIndex
from lmcore.batching.shard_writer import Counter, Progress, choose_dtype, write_side
from lmcore.batching.stream import Origin, Places, Tokens, cut
from lmcore.batching.windows import TrainingWindows, ValidationWindows
from lmcore.lineage import file_digest
from lmcore.tokenizers.texts import SIDES, count_documents
from lmcore.tokenizers.tokenizer import Tokenizer


def write_shards(
    corpus: Path, tokenizer: Path, out: Path, config: ShardsConfig, progress: Progress | None = None
) -> dict[str, int | float | str]:
    """Encode every side of a corpus and write its token stream, table of documents and index into `out`.

    Returns the counts of each side as facts. `progress` is told documents done and in all.

    Raises:
        ValueError: the train side is empty, a document does not encode, or ids do not fit into the dtype.
    """
    encoder = Tokenizer.load(tokenizer)
    counts = {side: count_documents(corpus, side) for side in SIDES}
    if not counts["train"]:
        raise ValueError(
            f"{corpus} has no documents to train on: add text, or loosen the filters that rejected it"
        )
    out.mkdir(parents=True, exist_ok=True)
    dtype = choose_dtype(config, encoder.vocab_size)
    done = Counter(sum(counts.values()), progress)
    sides = {side: write_side(corpus, side, encoder, out, dtype, config.shard_tokens, done) for side in SIDES}
    index = ShardIndex(
        dtype=dtype.name,
        vocab_size=encoder.vocab_size,
        eos_id=encoder.eos_id,
        tokenizer=encoder.digest,
        token_bytes=shard_index.write_token_bytes(encoder.token_bytes, out),
        sides=sides,
    )
    shard_index.write_index(index, out)
    return _facts(index)


def _facts(index: ShardIndex) -> dict[str, int | float | str]:
    facts: dict[str, int | float | str] = {"dtype": index.dtype, "vocab_size": index.vocab_size}
    for name, side in index.sides.items():
        facts |= {
            f"{name}_documents": side.documents,
            f"{name}_tokens": side.tokens,
            f"{name}_bytes": side.bytes,
        }
    facts["bytes_per_token"] = round(index.sides["train"].bytes / index.sides["train"].tokens, 6)
    return facts


class TokenShards:
    """A folder of shards, opened for reading.

    Args:
        folder: what `write_shards` made.
        tokenizer: digest of the tokenizer that the reader uses; None asks nothing.
        is_thorough: also prove the bytes of all files, at about 1 GB/s; else only their sizes.

    Raises:
        Damaged: a file is missing, short, or not the one that was written.
        ValueError: another tokenizer made the ids.
    """

    def __init__(self, folder: Path | str, tokenizer: str | None = None, is_thorough: bool = True) -> None:
        self.folder = Path(folder)
        self.index = shard_index.read_index(self.folder)
        if tokenizer is not None and tokenizer != self.index.tokenizer:
            raise ValueError(
                f"{self.folder} was made with tokenizer {self.index.tokenizer[:12]}, not with "
                f"{tokenizer[:12]}: use that tokenizer, or write the shards anew with this one"
            )
        for entry in self._files():
            shard_index.check_file(entry, self.folder, is_thorough)
        self.token_bytes = shard_index.read_token_bytes(self.folder / self.index.token_bytes.file)
        """UTF-8 bytes that each token id stands for, (V,); 0 for control tokens."""

    @cached_property
    def digest(self) -> str:
        """Digest of the index, which holds those of all files."""
        return file_digest(self.folder / shard_index.INDEX)

    @property
    def vocab_size(self) -> int:
        """Ids run from 0 to one less than this."""
        return self.index.vocab_size

    @property
    def eos_id(self) -> int:
        """The id that stands after every document."""
        return self.index.eos_id

    def side(self, name: str) -> SideIndex:
        """Counts and files of a side.

        Raises:
            ValueError: there is no such side.
        """
        if name not in self.index.sides:
            raise ValueError(f"no side named '{name}'; known: {', '.join(self.index.sides)}")
        return self.index.sides[name]

    def stream(self, side: str) -> ShardStream:
        """The side's tokens as one long row."""
        dtype = np.dtype(self.index.dtype).newbyteorder("<")
        origin = {"tokenizer": self.index.tokenizer, "shards": self.digest, "side": side}
        return ShardStream(self.folder, self.side(side), dtype, origin)

    def windows(self, side: str, context_tokens: int, seed: int) -> TrainingWindows:
        """Batches of seeded, shuffled windows: `.batch(step, batch_size)` is (B, T+1) int64."""
        return TrainingWindows(self.stream(side), context_tokens, seed)

    def packed(self, side: str, context_tokens: int, seed: int) -> PackedWindows:
        """Batches of whole documents in rows of T+1 tokens, with segments: `.batch(step, batch_size)`."""
        return PackedWindows(self.stream(side), self.offsets(side), context_tokens, seed, self.eos_id)

    def validation_windows(
        self, context_tokens: int, side: str = "validation", max_tokens: int | None = None
    ) -> ValidationWindows:
        """Fixed disjoint windows over the side, or over max_tokens spread evenly: `.batches(batch_size)`."""
        return ValidationWindows(self.stream(side), context_tokens, self.eos_id, self.token_bytes, max_tokens)

    def offsets(self, side: str) -> Places:
        """Where in the stream each document begins and the last one ends, (documents + 1,)."""
        return np.load(self.folder / self.side(side).offsets.file, allow_pickle=False)

    def documents(self, side: str) -> list[DocumentSpan]:
        """Every document of a side, in the order of the stream."""
        return shard_index.read_documents(self.folder / self.side(side).document_table.file)

    def _files(self) -> list[shard_index.StoredFile]:
        sides = self.index.sides.values()
        shards = chain.from_iterable(side.shards for side in sides)
        tables = chain.from_iterable((side.offsets, side.document_table) for side in sides)
        return [self.index.token_bytes, *tables, *shards]


class ShardStream:
    """The tokens of a side as one row, wherever the files are cut."""

    def __init__(self, folder: Path, side: SideIndex, dtype: np.dtype[Any], origin: Origin) -> None:
        self.num_tokens = side.tokens
        self.origin = origin
        """The digests of the tokenizer and of the shards, and the side."""
        maps = (np.memmap(folder / shard.file, dtype=dtype, mode="r") for shard in side.shards)
        # Plain arrays on the same memory: slicing a memmap costs ten times as much.
        self._shards = [np.asarray(tokens) for tokens in maps]
        self._edges = np.cumsum([0, *map(len, self._shards)])

    def gather(self, firsts: Places, lengths: Places) -> Tokens:
        """Stretches of `lengths` tokens from each of `firsts` on, one after the other, (sum of lengths,).

        Raises:
            IndexError: the stream ends before a stretch does.
        """
        numbers, begins, lengths = cut(firsts, lengths, self._edges)
        if not lengths.any():
            return np.empty(0, dtype=np.int64)
        if len(self._shards) == 1 and lengths.min() == lengths.max():
            return _stretches(self._shards[0], int(lengths[0]))[begins].astype(np.int64).ravel()
        shards = [self._shards[number] for number in numbers.tolist()]
        places = zip(shards, begins.tolist(), (begins + lengths).tolist(), strict=True)
        return np.concatenate([shard[begin:end] for shard, begin, end in places]).astype(np.int64)

    def tokens(self, first: int = 0, count: int | None = None) -> Tokens:
        """`count` tokens from `first` on; None: all that are left."""
        count = self.num_tokens - first if count is None else count
        return self.gather(np.array([first]), np.array([count]))

    def count_ids(self, vocab_size: int) -> NDArray[np.int64]:
        """How often each id occurs, (V,), without holding the stream in memory."""
        counts = np.zeros(vocab_size, dtype=np.int64)
        for shard in self._shards:
            for begin in range(0, len(shard), 1 << 22):
                counts += np.bincount(shard[begin : begin + (1 << 22)], minlength=vocab_size)
        return counts


def _stretches(shard: NDArray[Any], length: int) -> NDArray[Any]:
    """Every stretch of a shard, (N - length + 1, length), as a view: to choose rows of it is one gather."""
    width = shard.itemsize
    return np.ndarray((len(shard) - length + 1, length), shard.dtype, shard, strides=(width, width))
