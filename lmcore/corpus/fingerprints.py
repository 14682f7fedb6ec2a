"""What comparing documents needs of each, made chunk by chunk and left on disk: signatures, shingle sets."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmcore.corpus.chunks import Chunk
from lmcore.corpus.document import Progress
from lmcore.corpus.minhash import MinHash, Pairs, Signatures
from lmcore.corpus.pieces import Job, Pieces, make_pieces
from lmcore.corpus.settings import DeduplicateConfig
from lmcore.corpus.similarity import count_members
from lmcore.corpus.words import Hashes, Shingler, cut_words, run_hashes

CHARACTERS_AT_ONCE = 1 << 19
PAIRS_IN_PART = 20_000
PAIR_BYTES = 8_000
"""What a pair has to be looked at, about."""


def texts_of(chunk: Chunk) -> Iterator[list[str]]:
    """The texts of a chunk in order, some at a time, so that arrays over them stay small."""
    texts: list[str] = []
    size = 0
    for batch in chunk.batches(["text"]):
        for text in batch["text"]:
            texts.append(text.as_py())
            size += len(texts[-1])
            if size > CHARACTERS_AT_ONCE:
                yield texts
                texts, size = [], 0
    yield texts


@dataclass(frozen=True)
class Fingerprints:
    """Signatures of all documents of a file, by row."""

    lengths: NDArray[np.int64]
    """Characters of each text, (N,)."""
    sizes: NDArray[np.float32]
    """About how many distinct shingles each has, (N,)."""
    _bands: Sequence[NDArray[np.uint32]]
    """For each chunk (bands, n), on disk."""
    _marks: Sequence[NDArray[np.uint8]]
    """For each chunk (n, bins), on disk."""

    @classmethod
    def make(
        cls,
        chunks: Sequence[Chunk],
        settings: DeduplicateConfig,
        pieces: Pieces,
        cores: int,
        progress: Progress | None = None,
    ) -> Fingerprints:
        """Of all documents of the chunks; chunks that were signed before are found again."""
        jobs = [Job(chunk.digest, (chunk, settings), chunk.size) for chunk in chunks]
        folders = list(make_pieces(pieces, sign_chunk, jobs, cores, progress))
        return cls(
            np.concatenate([np.zeros(0, np.int64), *(np.load(each / "lengths.npy") for each in folders)]),
            np.concatenate([np.zeros(0, np.float32), *(np.load(each / "sizes.npy") for each in folders)]),
            [_on_disk(folder / "bands.npy") for folder in folders],
            [_on_disk(folder / "marks.npy") for folder in folders],
        )

    def band(self, number: int) -> NDArray[np.uint32]:
        """One band's hash of every document, (N,)."""
        return np.concatenate([np.zeros(0, np.uint32), *(bands[number] for bands in self._bands)])

    def marks(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The marks of some documents, (R, bins)."""
        if not self._marks:
            return np.zeros((0, 1), np.uint8)
        return np.concatenate(self._marks)[rows]


def sign_chunk(folder: Path, chunk: Chunk, settings: DeduplicateConfig) -> None:
    """Write the signatures of a chunk's documents into a folder."""
    minhash = MinHash(settings.bands, settings.rows, settings.seed)
    lengths: list[int] = []
    signed: list[Signatures] = []
    for texts in texts_of(chunk):
        lengths += map(len, texts)
        signed.append(minhash.signatures(run_hashes(cut_words(texts), settings.shingle_words, pad=True)))
    np.save(folder / "lengths.npy", np.array(lengths, np.int64))
    np.save(folder / "sizes.npy", np.concatenate([each.sizes for each in signed]))
    np.save(folder / "bands.npy", np.ascontiguousarray(np.concatenate([each.bands for each in signed]).T))
    np.save(folder / "marks.npy", np.concatenate([each.marks for each in signed]))


@dataclass(frozen=True)
class ShingleSets(Mapping[int, Hashes]):
    """The distinct shingles of some documents, sorted; they stay on disk until they are looked at."""

    folder: Path
    """With `places.npy`, (N, 4): of each document its name, its part, where it begins and ends there."""
    parts: tuple[Path, ...]
    """Folders with the sets of many documents, one behind the other."""

    @classmethod
    def make(
        cls,
        chunks: Sequence[Chunk],
        rows: Mapping[int, int],
        settings: DeduplicateConfig,
        passing: Pieces,
        cores: int,
    ) -> ShingleSets:
        """Of the documents in some rows of a file, by name -> row; they last as long as `passing`."""
        ends = [chunk.first + chunk.count for chunk in chunks]
        wanted: list[list[tuple[int, int]]] = [[] for _ in chunks]
        for row, name in sorted((row, name) for name, row in rows.items()):
            number = bisect_right(ends, row)
            wanted[number].append((row - chunks[number].first, name))
        jobs = [
            Job(f"sets {number}", (chunk, [row for row, _ in own], settings), chunk.size)
            for number, (chunk, own) in enumerate(zip(chunks, wanted, strict=True))
            if own
        ]
        parts = tuple(make_pieces(passing, write_sets, jobs, cores))
        places = []
        for part, own in enumerate(filter(None, wanted)):
            firsts = np.load(parts[part] / "firsts.npy").tolist()
            places += [(name, part, *span) for (_, name), span in zip(own, pairwise(firsts), strict=True)]
        folder = passing.scratch()
        np.save(folder / "places.npy", np.array(sorted(places), np.int64).reshape(-1, 4))
        return cls(folder, parts)

    @cached_property
    def _places(self) -> dict[int, tuple[int, int, int]]:
        return {
            name: (part, begin, end)
            for name, part, begin, end in np.load(self.folder / "places.npy").tolist()
        }

    @cached_property
    def _sets(self) -> list[Hashes]:
        return [_on_disk(part / "sets.npy") for part in self.parts]

    def __getitem__(self, name: int) -> Hashes:
        part, begin, end = self._places[name]
        return self._sets[part][begin:end]

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)


def count_in_parts(
    pairs: Pairs, sets: ShingleSets, passing: Pieces, cores: int, progress: Progress | None
) -> NDArray[np.int64]:
    """`count_members` by several processes, each of which sees neighbouring pairs."""
    parts = [pairs[start : start + PAIRS_IN_PART] for start in range(0, len(pairs), PAIRS_IN_PART)]
    jobs = [
        Job(f"pairs {sets.folder} {n}", (part, sets), PAIR_BYTES * len(part)) for n, part in enumerate(parts)
    ]
    folders = make_pieces(passing, write_counts, jobs, cores, progress)
    return np.concatenate([np.zeros((0, 3), np.int64), *(np.load(each / "counts.npy") for each in folders)])


def write_counts(folder: Path, pairs: Pairs, sets: ShingleSets) -> None:
    """Write what some pairs share into a folder."""
    np.save(folder / "counts.npy", count_members(pairs, sets))


def write_sets(folder: Path, chunk: Chunk, rows: Sequence[int], settings: DeduplicateConfig) -> None:
    """Write the shingle sets of some documents of a chunk into a folder."""
    shingler = Shingler(settings.shingle_words)
    wanted, seen = set(rows), 0
    sets = [np.zeros(0, np.uint64)]
    for batch in chunk.batches(["text"]):
        for row, text in enumerate(batch["text"], start=seen):
            if row in wanted:
                sets.append(shingler.shingle_set(text.as_py()))
        seen += batch.num_rows
    np.save(folder / "sets.npy", np.concatenate(sets))
    np.save(folder / "firsts.npy", np.cumsum(list(map(len, sets))))


def _on_disk(file: Path) -> NDArray[Any]:
    """An array that is read where it is looked at."""
    return np.asarray(np.load(file, mmap_mode="r"))
