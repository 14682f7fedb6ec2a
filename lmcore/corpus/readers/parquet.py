"""Parquet, one document a row, streamed through Hugging Face `datasets` from the local file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lmcore.corpus.readers import Draft, UnreadableFileError, missing_field, readers

if TYPE_CHECKING:
    import pyarrow as pa


@readers.register
def parquet(file: Path, *, text_field: str = "text", title_field: str | None = None) -> Iterator[Draft]:
    """One document for each row; its `line` is the row's number.

    A row that holds no string, or bytes that are not UTF-8, becomes a draft with a problem.

    Raises:
        UnreadableFileError: not a Parquet file, or a field is missing.
    """
    _check_fields(file, text_field, title_field)
    columns = [text_field] + ([title_field] if title_field and title_field != text_field else [])
    number = 0
    for table in _tables(file, columns):
        titles = table.column(title_field).to_pylist() if title_field else [None] * table.num_rows
        for title, value in zip(titles, _values(table.column(text_field)), strict=True):
            number += 1
            yield _draft(number, title, value, text_field)


def _check_fields(file: Path, *names: str | None) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_schema(file).names
    except (pa.ArrowInvalid, OSError) as error:
        raise UnreadableFileError(f"{file}: not a Parquet file ({str(error).splitlines()[0]})") from None
    for name in names:
        if name is not None and name not in found:
            raise missing_field(file, name, found)


def _tables(file: Path, columns: list[str]) -> Iterator[pa.Table]:
    import datasets

    # Even a streamed file leaves a lock in the cache folder, so the cache is a folder that goes away.
    with TemporaryDirectory() as cache:
        rows = datasets.load_dataset(
            "parquet", data_files=[str(file)], split="train", streaming=True, cache_dir=cache, columns=columns
        )
        yield from rows.with_format("arrow").iter(batch_size=1000)


def _values(column: pa.ChunkedArray) -> list[Any]:
    """The column's values, strings as bytes: Arrow does not check that they are UTF-8."""
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    return column.to_pylist()


def _draft(number: int, title: object, value: object, field: str) -> Draft:
    name = title if isinstance(title, str) else ""
    if not isinstance(value, bytes):
        return Draft(number, name, "", f"field '{field}' holds {type(value).__name__}, expected a string")
    try:
        return Draft(number, name, value.decode("utf-8"))
    except UnicodeDecodeError as error:
        problem = f"byte {value[error.start]:#04x} at offset {error.start} of the text is not UTF-8"
        return Draft(number, name, value.decode("utf-8", errors="replace"), problem)
