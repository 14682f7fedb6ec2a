"""Parquet, one document a row.

Read by pyarrow, a few rows at a time; a test holds it equal to `datasets`, whose loader wants a cache folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.corpus.inputs import InputFile, UnreadableFileError, excerpt_of, too_long
from lmcore.corpus.readers import Cuts, Draft, cutters, lacking, readers
from lmcore.lineage import digest_of, file_digest

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_ONCE = 500


@readers.register
def parquet(file: InputFile, *, text_field: str = "text", title_field: str | None = None) -> Iterator[Draft]:
    """One document for each row; its `line` is the row's number.

    A row that holds no string, or bytes that are not UTF-8, becomes a draft with a problem.

    Raises:
        UnreadableFileError: not a Parquet file, a field is missing, or a row group is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_size(file)
    try:
        with pq.ParquetFile(file.path) as table:
            found = table.schema_arrow.names
            for name in (text_field, title_field):
                if name is not None and name not in found:
                    raise lacking(file, name, found)
            columns = list(dict.fromkeys(filter(None, (text_field, title_field))))
            groups = range(file.start, table.num_row_groups if file.end is None else file.end)
            batches = table.iter_batches(ROWS_AT_ONCE, groups, columns, use_threads=False)
            yield from _drafts(file, batches, text_field, title_field)
    except (pa.ArrowException, OSError) as error:
        reason = f"not a Parquet file, or a damaged one ({str(error).splitlines()[0]})"
        raise UnreadableFileError(file.path, reason, "unreadable_file") from None


@cutters.register("parquet")
def cut(file: Path, size: int, **_: object) -> Cuts | None:
    """Between row groups, by their packed size."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        about = pq.read_metadata(file)
    except (pa.ArrowException, OSError):
        return None
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    starts, rows, filled = [0], [0], 0
    for number, group in enumerate(groups):
        filled += sum(group.column(each).total_compressed_size for each in range(group.num_columns))
        if filled >= size and number + 1 < len(groups):
            starts.append(number + 1)
            rows.append(sum(each.num_rows for each in groups[: number + 1]))
            filled = 0
    if len(starts) < 2:
        return None
    digest = file_digest(file)
    ends = [*starts[1:], len(groups)]
    return Cuts(starts, rows, [digest_of([digest, *span]) for span in zip(starts, ends, strict=True)])


def _check_size(file: InputFile) -> None:
    if file.path.is_file() and not file.path.stat().st_size:
        raise file.is_empty()


def _drafts(
    file: InputFile, batches: Iterator[pa.RecordBatch], text_field: str, title_field: str | None
) -> Iterator[Draft]:
    number = 0
    for batch in batches:
        titles = batch.column(title_field).to_pylist() if title_field else [None] * batch.num_rows
        for title, value in zip(titles, _values(batch.column(text_field)), strict=True):
            number += 1
            yield _draft(file, number, title, value, text_field)


def _values(column: pa.Array) -> list[Any]:
    """The column's values, strings as bytes: Arrow does not check that they are UTF-8."""
    import pyarrow as pa

    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    return column.to_pylist()


def _draft(file: InputFile, number: int, title: object, value: object, field: str) -> Draft:
    name = title if isinstance(title, str) else ""
    if not isinstance(value, bytes):
        problem = f"field '{field}' holds {type(value).__name__}, expected a string"
        return Draft(number, name, "", problem, "unreadable_record")
    if len(value) > file.longest:
        return Draft(number, name, excerpt_of(value), too_long(file.longest), "too_long")
    try:
        return Draft(number, name, value.decode("utf-8"))
    except UnicodeDecodeError as error:
        problem = f"byte {value[error.start]:#04x} at offset {error.start} of the text is not UTF-8"
        return Draft(number, name, excerpt_of(value), problem, "not_utf8")
