"""The one record that all stages pass on, the record of a rejection, and their Parquet files.

Files are the same bytes for the same records: fixed schema, compression and row groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

if TYPE_CHECKING:
    import pyarrow as pa
    from _typeshed import DataclassInstance

Facts = dict[str, int | float | str]
"""What a stage tells about its product: counts that are the same on every machine."""
Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much."""

ROWS_IN_GROUP = 2_000
CHARACTERS_IN_GROUP = 4_000_000


@dataclass(frozen=True, slots=True)
class Document:
    """A text, and where it stands in the user's files."""

    id: str
    """`<source>/<file>#<n>`, the n-th document of its file, from 1."""
    source: str
    file: str
    """Relative to the source's folder."""
    line: int
    """Its first line in that file; of a table without lines, its row. From 1."""
    title: str
    text: str
    digest: str
    """sha256 of the text as UTF-8."""
    family: str = ""
    """The smallest digest among the documents that are alike; empty until they have been compared."""

    def with_text(self, text: str) -> Document:
        """The same document after its text was changed."""
        return replace(self, text=text, digest=digest_of(text))


@dataclass(frozen=True, slots=True)
class Rejected(Document):
    """A document that does not go on, and why."""

    stage: str = ""
    """ingest, clean, deduplicate or split."""
    rule: str = ""
    value: float | None = None
    """What was measured; none for a rule without a number."""
    threshold: float | None = None
    reason: str = ""
    """The same in words."""
    offset: int | None = None
    """The byte of the unpacked file at which the trouble begins, where a record could not be read."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One reason why a document does not go on; of several, the first in the file counts."""

    id: str
    stage: str
    """filter, deduplicate, repeats or decontaminate."""
    rule: str
    value: float | None
    threshold: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Evidence for one pair: `removed` went because `keeper` says the same (or both were kept, as family)."""

    removed: str
    keeper: str
    removed_digest: str
    keeper_digest: str
    jaccard: float
    """Shingles that both have, as a share of those that either has."""
    containment: float
    """Shingles that both have, as a share of those of the one that has fewer."""
    how: str
    """exact, near, contained; or family, where both stay."""


Record = TypeVar("Record", bound="DataclassInstance")


def digest_of(text: str) -> str:
    """sha256 of the text as UTF-8, in hex."""
    return sha256(text.encode("utf-8")).hexdigest()


def reject(document: Document, stage: str, rule: str, reason: str, *limits: float | None) -> Rejected:
    """The record of a rejection; `limits` are the value and the threshold, if the rule has them."""
    value, threshold = limits or (None, None)
    own = {field.name: getattr(document, field.name) for field in fields(Document)}
    return Rejected(**own, stage=stage, rule=rule, value=value, threshold=threshold, reason=reason)


def reading_order(document: Document) -> tuple[str, str, int, str]:
    """Sorts documents as a reader would meet them: by source, file, place in it."""
    return document.source, document.file, document.line, document.id


class Writer(Generic[Record]):
    """Writes records of one type to a Parquet file, a row group at a time; used in a `with` block."""

    def __init__(self, path: Path, record: type[Record]) -> None:
        import pyarrow.parquet as pq

        self.num_rows = self.num_characters = self.num_bytes = 0
        self._schema = schema_of(record)
        self._values = attrgetter(*self._schema.names)
        self._rows: list[Record] = []
        self._characters = 0
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd", compression_level=3)

    def write(self, row: Record) -> None:
        """Add one record."""
        size = len(row.text) if isinstance(row, Document) else 0
        self._rows.append(row)
        self._characters += size
        self.num_rows += 1
        self.num_characters += size
        if len(self._rows) >= ROWS_IN_GROUP or self._characters >= CHARACTERS_IN_GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            columns = zip(*map(self._values, self._rows), strict=True)
            kinds = self._schema.types
            arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
            table = pa.Table.from_arrays(arrays, schema=self._schema)
            self._file.write_table(table, row_group_size=len(self._rows))
        self._rows, self._characters = [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._file.close()


def write(path: Path, record: type[Record], rows: Iterable[Record]) -> int:
    """Write all rows to a Parquet file; returns how many."""
    with Writer(path, record) as writer:
        for row in rows:
            writer.write(row)
    return writer.num_rows


def read(path: Path, record: type[Record], columns: Iterable[str] | None = None) -> Iterator[Record]:
    """The records of a Parquet file in its order; columns that are left out are empty.

    Raises:
        ValueError: the file is missing, damaged, or lacks a column of the record.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [field.name for field in fields(record)]
    wanted = names if columns is None else list(columns)
    blank: dict[str, Any] = {name: 0 if name == "line" else "" for name in names if name not in wanted}
    expected = f"a Parquet file of the type {record.__name__}"
    try:
        with pq.ParquetFile(path) as file:
            lacking = sorted(set(names) - set(file.schema_arrow.names))
            if lacking:
                raise ValueError(f"{path}: no column {', '.join(lacking)}; expected {expected}")
            for batch in file.iter_batches(batch_size=ROWS_IN_GROUP, columns=wanted):
                for row in batch.to_pylist():
                    yield record(**blank, **row)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{path}: {str(error).splitlines()[0]}; expected {expected}") from None


def rows_of(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file of any schema, in its order, without holding all of them."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROWS_IN_GROUP, columns=columns and list(columns)):
            yield from batch.to_pylist()


def join(parts: Iterable[Path], out: Path) -> int:
    """Put Parquet files of one schema together, in row groups of the usual size; returns the rows.

    A file without columns, of which there may be some, says nothing of the schema and has no rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer, waiting, rows = None, [], 0

    def flush() -> None:
        if writer and waiting:
            writer.write_table(pa.concat_tables(waiting).combine_chunks())
            waiting.clear()

    try:
        for part in parts:
            with pq.ParquetFile(part) as file:
                if not file.schema_arrow.names:
                    continue
                writer = writer or pq.ParquetWriter(
                    out, file.schema_arrow, compression="zstd", compression_level=3
                )
                for group in range(file.num_row_groups):
                    waiting.append(file.read_row_group(group))
                    rows += waiting[-1].num_rows
                    size = sum(table.nbytes for table in waiting)
                    if sum(map(len, waiting)) >= ROWS_IN_GROUP or size >= CHARACTERS_IN_GROUP:
                        flush()
        flush()
    finally:
        if writer:
            writer.close()
    return rows


def schema_of(record: type[Any]) -> pa.Schema:
    """The Arrow schema of a record: text, 64-bit integers and floats."""
    import pyarrow as pa

    kinds = {"str": pa.string(), "int": pa.int64(), "float": pa.float64()}
    named = {field.name: str(field.type).removesuffix(" | None") for field in fields(record)}
    return pa.schema([pa.field(name, kinds[kind]) for name, kind in named.items()])
