"""Find passages that stand elsewhere already, word for word, to be cut out (Lee et al. 2021).

Of a passage that stands in several documents the longest keeps it, then the one with the smaller digest, as
with duplicates: no order of input decides. In one document the first occurrence stays; one that begins before
it has ended ("ha ha ha ha") is no repeat. What was found by hashes is compared word by word before it is cut.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lmcore.corpus.chunks import Chunk, chunks_of
from lmcore.corpus.document import Decision, Document, Facts, Progress, Writer, read
from lmcore.corpus.passages import Spans, Stretch, write_landmarks, write_places, write_windows
from lmcore.corpus.pieces import Job, Pieces, kept_or_passing, make_pieces
from lmcore.corpus.settings import RepeatsConfig
from lmcore.corpus.words import Hashes, Places, distinct, is_in


@dataclass(frozen=True, slots=True)
class Cut:
    """A passage that goes, and where the same words stay."""

    id: str
    begin: int
    """Characters of the text, from .. to."""
    end: int
    words: int
    first_id: str
    first_begin: int


class Repeat(NamedTuple):
    """Words of one document that stand in another one, or further up; counted without those cut before."""

    row: int
    first: int
    num_words: int
    keeper: int
    """The row of the document that keeps them."""
    keeper_first: int


class Windows(NamedTuple):
    """Windows of words that come more than once, in the order of who keeps them."""

    numbers: Places
    """Equal for equal windows."""
    rows: Places
    firsts: Places


def find_repeats(
    documents: Path,
    earlier: Sequence[Path],
    out: Path,
    settings: RepeatsConfig,
    pieces: Path | None = None,
    cores: int = 1,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Facts:
    """Write `cuts.parquet`, and `decisions.parquet` for documents of which too little is left, into `out`.

    Cutting joins what stood apart, and may so make a new repeat: the search goes on until it finds nothing.
    Then no run of `min_words` words stands in two places in what is left, so a second time changes nothing.

    Args:
        earlier: folders with `decisions.parquet`; documents that stand there are passed over.
        pieces: a folder in which landmarks are kept for the next time.
        progress: called with bytes that are done, and of how many, in the first round.
        say: told what was taken over from earlier runs.
    """
    file = documents / "documents.parquet"
    gone = {row.id for folder in earlier for row in read(folder / "decisions.parquet", Decision)}
    names = [(each.id, each.digest) for each in read(file, Document, ("id", "digest"))]
    stays = np.array([id not in gone for id, _ in names], np.bool_)
    chunks = chunks_of(file)
    cuts: dict[int, list[tuple[int, int]]] = {}
    rows: list[tuple[int, Cut]] = []
    left, ranks = np.zeros(0, np.int64), None
    with kept_or_passing(pieces) as kept:
        while True:
            with kept_or_passing(None) as passing:
                search = _Search(chunks, cuts, settings, kept, passing, cores)
                landmarks = search.landmarks(stays, progress)
                left, progress = landmarks.counts, None
                if ranks is None:
                    kept.tell_reused(say, "read")
                    ranks = _ranks(landmarks.lengths, [digest for _, digest in names])
                repeats = list(choose_repeats(search.windows(landmarks, ranks), settings.min_words))
                found = search.confirm(_apart(repeats, cuts))
            if not found:
                break
            for repeat, place, keeper_begin in found:
                id, first_id = names[repeat.row][0], names[repeat.keeper][0]
                rows.append(
                    (repeat.row, Cut(id, place[2], place[3], repeat.num_words, first_id, keeper_begin))
                )
                cuts.setdefault(repeat.row, []).append((place[0], place[1]))
            for row in cuts:
                cuts[row].sort()
    rows.sort(key=lambda each: (each[0], each[1].begin))
    with Writer(out / "cuts.parquet", Cut) as writer:
        for _, cut in rows:
            writer.write(cut)
    short = [row for row in sorted(cuts) if left[row] < settings.min_left_words]
    with Writer(out / "decisions.parquet", Decision) as decisions:
        for row in short:
            decisions.write(_decide(names[row][0], int(left[row]), settings.min_left_words))
    return {
        "documents": int(stays.sum()) - len(short),
        "documents_cut": len(cuts),
        "cuts": len(rows),
        "words_cut": sum(cut.words for _, cut in rows),
        "characters_cut": sum(cut.end - cut.begin for _, cut in rows),
        "rejected": len(short),
    }


def _decide(id: str, left: int, least: int) -> Decision:
    reason = f"{left} words are left, the rest stands in other documents"
    return Decision(id, "repeats", "repeated", float(left), float(least), reason)


def _ranks(lengths: Places, digests: Sequence[str]) -> Places:
    order = sorted(range(len(digests)), key=lambda row: (-lengths[row], digests[row], row))
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


class _Landmarks(NamedTuple):
    lengths: Places
    counts: Places
    """Words that each document has left, (N,)."""
    repeated: Hashes
    """Landmarks that stand in more than one place, sorted."""
    rows: Places
    """The documents that have one of them, ascending."""


@dataclass(frozen=True)
class _Search:
    """One round over all chunks."""

    chunks: Sequence[Chunk]
    cuts: Mapping[int, Spans]
    settings: RepeatsConfig
    kept: Pieces
    passing: Pieces
    cores: int

    def landmarks(self, stays: np.ndarray[Any, np.dtype[np.bool_]], progress: Progress | None) -> _Landmarks:
        jobs = []
        for chunk in self.chunks:
            cuts = self._within(chunk, self.cuts)
            key = f"{chunk.digest} {sha256(repr(sorted(cuts.items())).encode()).hexdigest()}"
            jobs.append(Job(key, (chunk, cuts, self.settings.min_words), chunk.size))
        folders = list(make_pieces(self.kept, write_landmarks, jobs, self.cores, progress))
        lengths, counts, numbers = (
            _joined(folders, name, np.int64) for name in ("lengths", "counts", "numbers")
        )
        rows = np.repeat(np.arange(len(numbers)), numbers)
        values = _joined(folders, "values", np.uint64)[stays[rows]]
        rows = rows[stays[rows]]
        ordered = np.sort(values)
        repeated = distinct(ordered[1:][ordered[1:] == ordered[:-1]])
        return _Landmarks(lengths, counts, repeated, distinct(rows[is_in(values, repeated)]))

    def windows(self, landmarks: _Landmarks, ranks: Places) -> Windows:
        listed = self.passing.scratch() / "listed.npy"
        np.save(listed, landmarks.repeated)
        wanted = dict.fromkeys(landmarks.rows.tolist(), 0)
        folders = self._work(
            write_windows, wanted, lambda own, cuts: (list(own), cuts, listed, self.settings.min_words)
        )
        hashes = _joined(folders, "hashes", np.uint64)
        rows, firsts = _joined(folders, "rows", np.int64), _joined(folders, "firsts", np.int64)
        ordered = np.sort(hashes)
        repeated = distinct(ordered[1:][ordered[1:] == ordered[:-1]])
        is_repeated = is_in(hashes, repeated)
        hashes, rows, firsts = hashes[is_repeated], rows[is_repeated], firsts[is_repeated]
        order = np.lexsort((firsts, ranks[rows]))
        return Windows(np.searchsorted(repeated, hashes[order]), rows[order], firsts[order])

    def confirm(self, repeats: Sequence[Repeat]) -> list[tuple[Repeat, list[int], int]]:
        """Repeats whose words are the same, where each stands, and where its keeper's words begin."""
        wanted: defaultdict[int, list[Stretch]] = defaultdict(list)
        for repeat in repeats:
            wanted[repeat.row].append(Stretch(repeat.first, repeat.num_words))
            wanted[repeat.keeper].append(Stretch(repeat.keeper_first, repeat.num_words))
        folders = self._work(write_places, wanted, lambda own, cuts: (own, cuts))
        places = [place for each in folders for place in np.load(each / "places.npy").tolist()]
        digests = [digest.tobytes() for each in folders for digest in np.load(each / "digests.npy")]
        keys = [(row, stretch) for row in sorted(wanted) for stretch in wanted[row]]
        where = dict(zip(keys, zip(places, digests, strict=True), strict=True))
        found = []
        for repeat in repeats:
            place, digest = where[repeat.row, Stretch(repeat.first, repeat.num_words)]
            keeper_place, keeper_digest = where[repeat.keeper, Stretch(repeat.keeper_first, repeat.num_words)]
            if digest == keeper_digest:
                found.append((repeat, place, keeper_place[4]))
        return found

    def _work(
        self,
        function: Callable[..., None],
        wanted: Mapping[int, Any],
        arguments: Callable[[dict[int, Any], dict[int, Spans]], tuple[Any, ...]],
    ) -> list[Path]:
        """Work on those chunks that hold some of the rows, which are counted there from their first."""
        jobs = []
        for number, chunk in enumerate(self.chunks):
            if own := self._within(chunk, wanted):
                job = (chunk, *arguments(own, self._within(chunk, self.cuts)))
                jobs.append(Job(f"{function.__name__} {number}", job, chunk.size))
        return list(make_pieces(self.passing, function, jobs, self.cores))

    def _within(self, chunk: Chunk, by_row: Mapping[int, Any]) -> dict[int, Any]:
        if len(by_row) < chunk.count:
            inside = sorted(row for row in by_row if chunk.first <= row < chunk.first + chunk.count)
        else:
            inside = [row for row in range(chunk.first, chunk.first + chunk.count) if row in by_row]
        return {row - chunk.first: by_row[row] for row in inside}


def _joined(folders: Sequence[Path], name: str, kind: type[Any]) -> Any:
    return np.concatenate([np.zeros(0, kind), *(np.load(folder / f"{name}.npy") for folder in folders)])


def choose_repeats(windows: Windows, min_words: int) -> Iterator[Repeat]:
    """What is cut for what: each window stays where it first stands whole, and goes where it comes again.

    A document comes after all that keep what it repeats. Only windows that stay whole keep others from
    staying, so the words of every repeat stand somewhere.
    """
    if not len(windows.numbers):
        return
    keepers = np.full(int(windows.numbers.max()) + 1, -1, np.int64)
    keeper_firsts = np.zeros(len(keepers), np.int64)
    bounds = np.flatnonzero(np.diff(windows.rows, prepend=-1)).tolist()
    for start, end in pairwise([*bounds, len(windows.rows)]):
        row = int(windows.rows[start])
        numbers, firsts = windows.numbers[start:end], windows.firsts[start:end]
        goes = keepers[numbers] >= 0
        yield from _joined_windows(
            row, firsts[goes], keepers[numbers[goes]], keeper_firsts[numbers[goes]], min_words
        )
        is_whole = _apart_from(firsts, firsts[goes], min_words)
        numbers, firsts = numbers[is_whole], firsts[is_whole]
        if len(distinct(numbers)) < len(numbers):
            goes_here, first_at, stays = _repeats_within(numbers.tolist(), firsts.tolist(), min_words)
            yield from _joined_windows(
                row,
                np.array(goes_here, np.int64),
                np.full(len(goes_here), row),
                np.array(first_at),
                min_words,
            )
            numbers, firsts = numbers[stays], firsts[stays]
        keepers[numbers[::-1]] = row
        keeper_firsts[numbers[::-1]] = firsts[::-1]


def _apart_from(firsts: Places, cut: Places, min_words: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each window shares no word with the windows that are cut, which begin at `cut`, ascending."""
    if not len(cut):
        return np.ones(len(firsts), np.bool_)
    place = np.searchsorted(cut, firsts)
    behind = cut[np.minimum(place, len(cut) - 1)] - firsts
    before = firsts - cut[np.maximum(place - 1, 0)]
    return ((place == len(cut)) | (behind >= min_words)) & ((place == 0) | (before >= min_words))


def _repeats_within(
    numbers: Sequence[int], firsts: Sequence[int], min_words: int
) -> tuple[list[int], list[int], list[int]]:
    """Windows that go because they stand further up, where they do, and the places of those that stay.

    A window counts as standing further up when it has ended there, uncut, before this one begins.
    """
    known: dict[int, int] = {}
    open_: list[int] = []
    goes, first_at, stays = [], [], []
    for place, (number, first) in enumerate(zip(numbers, firsts, strict=True)):
        while open_ and firsts[open_[0]] + min_words <= first:
            ended = open_.pop(0)
            known.setdefault(numbers[ended], firsts[ended])
            stays.append(ended)
        if number in known:
            goes.append(first)
            first_at.append(known[number])
            open_ = []  # those that have not ended are cut into
        elif not goes or first >= goes[-1] + min_words:
            open_.append(place)
    return goes, first_at, stays + open_


def _joined_windows(
    row: int, firsts: Places, keepers: Places, keeper_firsts: Places, min_words: int
) -> Iterator[Repeat]:
    """Neighbouring windows that stand so in the keeper too, as one; what the one before has is left to it."""
    if not len(firsts):
        return
    follows = (np.diff(firsts) == 1) & (np.diff(keepers) == 0) & (np.diff(keeper_firsts) == 1)
    bounds = [0, *(np.flatnonzero(~follows) + 1).tolist(), len(firsts)]
    done = 0
    for start, end in pairwise(bounds):
        first, stop = int(firsts[start]), int(firsts[end - 1]) + min_words
        begin = max(first, done)
        if begin < stop:
            keeper_first = int(keeper_firsts[start]) + begin - first
            yield Repeat(row, begin, stop - begin, int(keepers[start]), keeper_first)
        done = max(done, stop)


def _apart(repeats: Sequence[Repeat], cuts: Mapping[int, Spans]) -> list[Repeat]:
    """The same, none of them across a place where something was cut before."""
    parts = []
    for repeat in repeats:
        seams = {seam - repeat.first for seam in _seams(cuts.get(repeat.row, ()))}
        seams |= {seam - repeat.keeper_first for seam in _seams(cuts.get(repeat.keeper, ()))}
        bounds = [0, *sorted(seam for seam in seams if 0 < seam < repeat.num_words), repeat.num_words]
        for begin, end in pairwise(bounds):
            first, keeper_first = repeat.first + begin, repeat.keeper_first + begin
            parts.append(Repeat(repeat.row, first, end - begin, repeat.keeper, keeper_first))
    return parts


def _seams(spans: Spans) -> Iterator[int]:
    """Where cuts are, counted in the words that are left."""
    gone = 0
    for begin, end in spans:
        yield begin - gone
        gone += end - begin
