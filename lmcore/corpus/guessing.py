"""Looking at a pile of files that nobody has described: reader, fields, and what would come of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from lmcore.config import SettingsError
from lmcore.corpus.inputs import InputFile, UnreadableFileError
from lmcore.corpus.readers import Draft
from lmcore.corpus.settings import ReaderPart
from lmcore.corpus.unpacking import PACKINGS

READERS = {
    "jsonl": ("jsonl", "ndjson", "json"),
    "parquet": ("parquet",),
    "csv": ("csv", "tsv"),
    "html": ("html", "htm", "xhtml"),
    "markdown": ("md", "markdown"),
    "pdf": ("pdf",),
    "docx": ("docx",),
    "email": ("eml", "mbox"),
    "text": ("txt", "text", ""),
}
TITLES = ("title", "name", "headline", "subject", "heading")
TEXTS = ("text", "content", "body", "document", "article")
CONVERSATIONS = ({"messages"}, {"prompt", "completion"})
DELIMITERS = (",", ";", "\t", "|")
LONGEST_NAME = 80
"""Characters of a column's name."""
RECORDS = 200
"""Records from which fields are guessed."""
LOOKED_AT = 50
"""Files that are read to see what would come of all."""


@dataclass(frozen=True)
class Guess:
    """How a pile may be read."""

    reader: dict[str, Any]
    kinds: Mapping[str, tuple[int, int]]
    """Suffix -> files and bytes."""
    files: tuple[str, ...] = ()
    """Patterns of those that the reader is for; empty if it is for all."""
    is_conversations: bool = False
    """Whether the records have the fields of questions and answers."""

    def takes(self, kind: str) -> bool:
        """Whether files of that suffix are read."""
        return _reader_of(kind) == self.reader["type"]

    def could_take(self, kind: str) -> bool:
        """Whether files of that suffix would be read by another reader."""
        return _reader_of(kind) not in (None, self.reader["type"])


@dataclass
class Look:
    """What came of reading some of it."""

    num_files: int
    documents: int = 0
    sample: list[tuple[str, Draft]] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)
    """How many records or files would be put aside, by rule."""
    examples: dict[str, str] = field(default_factory=dict)
    """Of each rule, the first one in words."""


def guess_source(root: Path, files: Sequence[Path]) -> Guess:
    """The reader for most of the bytes, and the fields of its records.

    Raises:
        SettingsError: there is no file, or none of a kind that is read.
    """
    kinds: dict[str, tuple[int, int]] = {}
    for file in files:
        number, bytes_ = kinds.get(kind_of(file), (0, 0))
        kinds[kind_of(file)] = number + 1, bytes_ + (root / file).stat().st_size
    by_reader: Counter[str] = Counter()
    for kind, (_, bytes_) in kinds.items():
        if reader := _reader_of(kind):
            by_reader[reader] += bytes_ + 1
    if not by_reader:
        there = ", ".join(sorted(kinds)) or "no file"
        raise SettingsError(
            f"{root}: no file of a kind that a reader is for ({there}); readers are for "
            + ", ".join(f".{kind}" for kinds in READERS.values() for kind in kinds if kind)
        )
    reader = max(sorted(by_reader), key=lambda name: by_reader[name])
    mine = sorted(kind for kind in kinds if _reader_of(kind) == reader)
    first = [root / file for file in files if kind_of(file) in mine]
    patterns = () if len(mine) == len(kinds) else tuple(p for kind in mine for p in _patterns(kind, files))
    records, dials = _first_records(reader, first)
    is_conversations = any(names <= records[0].keys() for names in CONVERSATIONS) if records else False
    fields = {**_best(records), **dials}
    _check_header(reader, root, fields)
    return Guess({"type": reader, **fields}, dict(sorted(kinds.items())), patterns, is_conversations)


def look(guess: Guess, root: Path, files: Sequence[Path]) -> Look:
    """Read the beginning of files from all over the pile."""
    mine = [file for file in files if _reader_of(kind_of(file)) == guess.reader["type"]]
    chosen = mine[:: max(1, len(mine) // LOOKED_AT)]
    read, seen = ReaderPart.model_validate(guess.reader).build(), Look(len(chosen))
    for file in chosen:
        try:
            for draft in islice(read(InputFile(root / file)), RECORDS):
                _note(seen, file, draft)
        except UnreadableFileError as error:
            _trouble(seen, error.rule, f"{file}: {error.reason}")
    return seen


def kind_of(file: Path) -> str:
    """The suffix of a file, without the one of its packing; in small letters, without the dot."""
    name = PurePosixPath(file)
    return (PurePosixPath(name.stem) if name.suffix in PACKINGS else name).suffix.lower().removeprefix(".")


def _note(seen: Look, file: Path, draft: Draft) -> None:
    if draft.problem:
        _trouble(seen, draft.rule, f"{file}, line {draft.line}: {draft.problem}")
    elif not draft.text.strip():
        _trouble(seen, "empty", f"{file}, line {draft.line}: the text is empty")
    else:
        seen.documents += 1
        if not seen.sample or seen.sample[-1][0] != file.as_posix():
            seen.sample.append((file.as_posix(), draft))


def _trouble(seen: Look, rule: str, example: str) -> None:
    seen.troubles[rule] += 1
    seen.examples.setdefault(rule, example)


def _reader_of(kind: str) -> str | None:
    return next((reader for reader, kinds in READERS.items() if kind in kinds), None)


def _patterns(kind: str, files: Sequence[Path]) -> list[str]:
    """Patterns that take the files of a kind, packed or not."""
    suffixes = {file.name[file.name.lower().rfind(f".{kind}") :] for file in files if kind_of(file) == kind}
    return [f"**/*{suffix}" for suffix in sorted(suffixes)] if kind else ["**/*"]


def _first_records(reader: str, files: Sequence[Path]) -> tuple[list[Mapping[str, Any]], dict[str, str]]:
    """The records of the first file that has some, by which fields are judged, and settings of the reader."""
    if reader not in ("jsonl", "csv", "parquet"):
        return [], {}
    for file in files[:10]:
        dials = _delimiter(file) if reader == "csv" else {}
        if records := [*islice(_records(reader, file, dials), RECORDS)]:
            return records, dials
    return [], {}


def _delimiter(file: Path) -> dict[str, str]:
    """The one that gives all rows equally many values, more than one; else the usual one."""
    import csv

    usual = "\t" if kind_of(file) == "tsv" else ","
    for mark in (usual, *DELIMITERS):
        try:
            with InputFile(file).text("utf-8-sig") as stream:
                widths = {len(row) for row in islice(csv.reader(stream, delimiter=mark), RECORDS) if row}
        except (UnreadableFileError, ValueError, OSError, csv.Error):
            continue
        if len(widths) == 1 and widths != {1}:
            return {} if mark == "," else {"delimiter": mark}
    return {} if usual == "," else {"delimiter": usual}


def _check_header(reader: str, root: Path, fields: Mapping[str, str]) -> None:
    name = fields.get("text_field", "")
    if reader == "csv" and (len(name) > LONGEST_NAME or "\n" in name):
        begins = " ".join(name.split())[:40]
        raise SettingsError(
            f"{root}: the first row is to hold the names of the columns, and has a text ('{begins} ...'); "
            "put a row with names before it"
        )


def _records(reader: str, file: Path, dials: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    """Records of a table as dictionaries; of one that cannot be read, none."""
    import csv

    try:
        if reader == "parquet":
            import pyarrow.parquet as pq

            for batch in pq.ParquetFile(file).iter_batches(RECORDS):
                yield from batch.to_pylist()
        elif reader == "csv":
            with InputFile(file).text("utf-8-sig") as stream:
                yield from csv.DictReader(stream, delimiter=dials.get("delimiter", ","))
        else:
            for _, _, line in InputFile(file).lines():
                record = json.loads(line) if line.strip() else None
                if isinstance(record, dict):
                    yield record
    except (UnreadableFileError, ValueError, OSError, csv.Error, RecursionError):
        return


def _best(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The field with the most text, one of a usual name before others; and one that is called a title."""
    lengths: Counter[str] = Counter()
    for record in records:
        for name, value in record.items():
            if isinstance(name, str) and isinstance(value, str):
                lengths[name] += len(value)
    if not lengths:
        return {}
    longest = max(lengths.values())
    usual = [name for name in TEXTS if lengths[name] * 2 >= longest]
    text = usual[0] if usual else max(sorted(lengths), key=lambda name: lengths[name])
    title = next((name for name in TITLES if name in lengths and name != text), None)
    return {"text_field": text, **({"title_field": title} if title else {})}
