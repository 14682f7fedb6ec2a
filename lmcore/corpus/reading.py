"""One piece of reading: some files, or a range of one, become tables of documents and of what is none.

What is in a piece does not depend on where its files stand among others: documents are numbered by file, and
lines counted from the range's beginning. `ingest.py` joins pieces and puts that right.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmcore.corpus.inputs import InputFile, UnreadableFileError, excerpt_of, too_long
from lmcore.corpus.readers import Draft
from lmcore.corpus.settings import ReaderPart

if TYPE_CHECKING:
    import pyarrow as pa

DOCUMENTS, REJECTED = "documents.parquet", "rejected.parquet"
ROWS_TOGETHER = 2_000
BYTES_TOGETHER = 8_000_000
EMPTY = Draft(0, "", "", "the text is empty", "empty")


def read_piece(
    out: Path, root: str, reader: ReaderPart, longest: int, ranges: Sequence[tuple[str, int, int | None]]
) -> None:
    """Read files into `documents.parquet` and `rejected.parquet` in `out`; no file stops it.

    Args:
        longest: bytes above which a document is too long.
    """
    read = reader.build()
    with (
        _Rows(out / DOCUMENTS, _documents_schema()) as documents,
        _Rows(out / REJECTED, _rejected_schema()) as rejected,
    ):
        for name, start, end in ranges:
            number = 0
            try:
                for draft in read(InputFile(Path(root) / name, start, end, longest)):
                    number += 1
                    draft = _judged(draft, longest)
                    if draft.problem:
                        rejected.add(name, number, draft, False)
                    else:
                        documents.add(name, number, draft)
            except UnreadableFileError as error:
                whole = Draft(1, "", error.excerpt, error.reason, error.rule, error.offset)
                rejected.add(name, number + 1, whole, True)


def _judged(draft: Draft, longest: int) -> Draft:
    """The draft with a problem, if it has one that no reader has to look for."""
    if draft.problem:
        return draft
    if not draft.text or draft.text.isspace():
        return draft._replace(problem=EMPTY.problem, rule=EMPTY.rule)
    if len(draft.text) * 4 > longest and len(draft.text.encode("utf-8", "replace")) > longest:
        return draft._replace(text=excerpt_of(draft.text), problem=too_long(longest), rule="too_long")
    return draft


class _Rows:
    """Rows of a table, column by column, written some thousands at a time."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self._schema = schema
        self._file = pq.ParquetWriter(
            path, schema, compression="zstd", compression_level=1, use_dictionary=["file"]
        )
        self._columns: list[list[Any]] = [[] for _ in schema.names]
        self._size = 0

    def add(self, name: str, number: int, draft: Draft, *more: bool) -> None:
        """Add a document; a rejected one with whether it stands for its whole file."""
        text = draft.text.encode("utf-8", "replace")
        values: tuple[Any, ...] = (name, number, draft.line, draft.title, text, sha256(text).hexdigest())
        if more:
            values = (*values, draft.rule or "unreadable_record", draft.problem, draft.offset, *more)
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
        self._size += len(text)
        if len(self._columns[0]) >= ROWS_TOGETHER or self._size >= BYTES_TOGETHER:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._columns[0]:
            # Text is bytes already: Arrow need not encode it again.
            arrays = [
                pa.array(column, pa.binary()).view(pa.string())
                if field.name == "text"
                else pa.array(column, field.type)
                for column, field in zip(self._columns, self._schema, strict=True)
            ]
            self._file.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._columns = [[] for _ in self._columns]
        self._size = 0

    def __enter__(self) -> _Rows:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._file.close()


def _documents_schema() -> pa.Schema:
    import pyarrow as pa

    text, number = pa.string(), pa.int64()
    kinds = {"file": text, "number": number, "line": number, "title": text, "text": text, "digest": text}
    return pa.schema(list(kinds.items()))


def _rejected_schema() -> pa.Schema:
    import pyarrow as pa

    more = {"rule": pa.string(), "reason": pa.string(), "offset": pa.int64(), "is_whole_file": pa.bool_()}
    return pa.schema([*_documents_schema(), *more.items()])
