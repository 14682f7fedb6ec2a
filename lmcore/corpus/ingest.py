"""A source's files become documents: pieces are read side by side and joined in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from zlib import crc32

from lmcore.corpus.document import Facts, Progress
from lmcore.corpus.inputs import InputFile, UnreadableFileError
from lmcore.corpus.joining import Joined, Made, join_pieces
from lmcore.corpus.pieces import Job, Pieces, kept_or_passing, make_pieces
from lmcore.corpus.readers import Draft, cutters, missing_field, readers
from lmcore.corpus.reading import read_piece
from lmcore.corpus.settings import Source
from lmcore.corpus.unpacking import packing_of
from lmcore.lineage import digest_of, file_digest

RANGE = 64_000_000
"""Bytes that one process reads of a huge file before another takes over."""
TOGETHER = 4_000_000
"""Bytes of small files that are one piece."""
ALONE = 1_000_000
"""Bytes from which a file is a piece of its own."""
NEIGHBOURS = 64
"""Small files in a piece, on average."""


TRIED = 100
"""Files that are tried before a source is refused of which none can be read ..."""
BAD_RECORDS = 1_000
"""... and records of each."""


@dataclass(frozen=True)
class _Piece:
    """What is read together: small files, or a range of a huge one."""

    names: tuple[str, ...]
    job: Job
    file: str = ""
    """The file that it is a range of."""
    lines_before: int = 0


def check_files(source: Source, files: Sequence[Path], root: Path) -> None:
    """Find one document in a source's files, before any work: settings that fit no file are refused.

    Damage of some files is no reason to stop: they are quarantined when they are read.

    Raises:
        UnreadableFileError: none of the files tried (up to 100, from all over the source) has one; why the
            first of them has none.
    """
    first: UnreadableFileError | None = None
    for file in files[:: max(1, len(files) // TRIED)]:
        trouble = _trouble(source, root / file)
        if trouble is None:
            return
        first = first or trouble
    if first:
        raise first


def _trouble(source: Source, path: Path) -> UnreadableFileError | None:
    """Why a file has no document among its first records; None if it has one, or some that are only empty."""
    trouble: UnreadableFileError | None = None
    read = source.reader.build()
    try:
        for number, draft in enumerate(read(InputFile(path, longest=source.max_document_bytes))):
            found = _problem(draft)
            if not found or number >= BAD_RECORDS:
                return trouble if found else None
            where = path if not trouble else trouble.where
            trouble = trouble or UnreadableFileError(where, f"line {draft.line}: {found}")
    except UnreadableFileError as error:
        return trouble or error
    return trouble


def _problem(draft: Draft) -> str:
    return draft.problem or (missing_field(draft.lacks[0], draft.lacks[1:]) if draft.lacks else "")


def read_source(
    source: Source,
    source_name: str,
    files: Sequence[Path],
    root: Path,
    out: Path,
    progress: Progress | None = None,
    *,
    digests: Mapping[str, str] | None = None,
    kept: Path | None = None,
    cores: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> Facts:
    """Read files into `documents.parquet` and `rejected.parquet` in `out`.

    The bytes are the same for any number of cores, and whether pieces were kept or not.

    Args:
        files: relative to `root`, as `find_files` gives them.
        progress: called with the bytes that are read, and all.
        digests: SHA-256 of each file, where they are known already.
        kept: a folder of pieces from earlier runs with this reader, and for later ones.
        say: told what was taken over from earlier runs, and what could not be read.

    Raises:
        UnreadableFileError: no file has a document.
    """
    names = sorted(file.as_posix() for file in files)
    plan = [*_plan(source, root, names, digests or {})]
    with kept_or_passing(kept) as pieces:
        made = make_pieces(pieces, read_piece, [piece.job for piece in plan], cores, progress)
        pairs = zip(plan, made, strict=True)
        joined = join_pieces(
            source_name, (Made(folder, piece.file, piece.lines_before) for piece, folder in pairs), out
        )
        _tell_reused(pieces, plan, len(names), say)
    if not joined.documents:
        raise UnreadableFileError(
            f"source '{source_name}'",
            f"{joined.rejected} records in {len(names)} files, and none is a document; is its reader the "
            "right one?",
        )
    _tell_rejected(joined, say)
    return {
        "files": len(names),
        "documents": joined.documents,
        "rejected": joined.rejected,
        "quarantined_files": joined.whole_files,
        "characters": joined.characters,
    }


def cores_for(size: int) -> int:
    """How many cores the reading of so many bytes can make use of: a process pays from some pieces on."""
    return max(1, size // (4 * TOGETHER))


def _plan(source: Source, root: Path, names: Sequence[str], digests: Mapping[str, str]) -> Iterator[_Piece]:
    """The pieces of a source, in the order of its files.

    Where one piece of small files ends and the next begins is decided by the names around it: a new file
    changes the piece that it falls into, and no other.
    """
    together: list[str] = []
    filled = 0
    for name in names:
        path = root / name
        size = path.stat().st_size
        if size >= ALONE:
            if together:
                yield _bundle(source, root, together, digests)
                together, filled = [], 0
            yield from _cut(source, root, name, size) or [_bundle(source, root, [name], digests)]
            continue
        together.append(name)
        filled += size
        if filled >= TOGETHER or crc32(name.encode()) % NEIGHBOURS == 0:
            yield _bundle(source, root, together, digests)
            together, filled = [], 0
    if together:
        yield _bundle(source, root, together, digests)


def _bundle(source: Source, root: Path, names: Sequence[str], digests: Mapping[str, str]) -> _Piece:
    key = digest_of([[name, digests.get(name) or file_digest(root / name)] for name in names])
    ranges = [(name, 0, None) for name in names]
    arguments = (str(root), source.reader, source.max_document_bytes, ranges)
    return _Piece(tuple(names), Job(key, arguments, sum((root / name).stat().st_size for name in names)))


def _cut(source: Source, root: Path, name: str, size: int) -> list[_Piece]:
    """The ranges of a huge file; none if it is better read as a whole."""
    kind, path = source.reader.type, root / name
    readers[kind]  # its file says how it is cut
    if size <= RANGE or kind not in cutters or packing_of(path):
        return []
    found = cutters[kind](path, RANGE, **source.reader.dials)
    if found is None:
        return []
    pieces = []
    for number, (start, end) in enumerate(pairwise([*found.starts, None])):
        start = start if number else 0
        key = digest_of([name, start, end is None, found.digests[number]])
        arguments = (str(root), source.reader, source.max_document_bytes, [(name, start, end)])
        job = Job(key, arguments, size // len(found.starts))
        pieces.append(_Piece((name,), job, name, found.lines_before[number]))
    return pieces


def _tell_reused(pieces: Pieces, plan: Sequence[_Piece], num_files: int, say: Callable[[str], None]) -> None:
    read = {name for piece in plan if piece.job.key not in pieces.found for name in piece.names}
    if len(read) < num_files:
        say(f"{len(read):,} of {num_files:,} files were read; the rest is taken over from earlier runs")


def _tell_rejected(joined: Joined, say: Callable[[str], None]) -> None:
    if joined.rejected:
        rules = ", ".join(f"{number:,} {rule}" for rule, number in sorted(joined.rules.items()))
        files = f", {joined.whole_files:,} of them whole files" if joined.whole_files else ""
        say(f"{joined.rejected:,} records could not be read{files}: {rules} (see rejected.parquet)")
