"""The documents of a corpus side, batch by batch, so that no side must fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SIDES = ("train", "validation", "test")
BATCH_DOCUMENTS = 1024
"""Documents read at a time."""
BATCH_CHARACTERS = 1_000_000
"""Text handed to the encoder at a time: enough to keep all its threads busy, little in memory."""


def side_file(corpus: Path, side: str) -> Path:
    """The Parquet file of a side.

    Raises:
        ValueError: the folder has no such file, so it is no corpus.
    """
    path = corpus / f"{side}.parquet"
    if not path.is_file():
        raise ValueError(
            f"{corpus} has no {path.name}: a corpus folder holds {', '.join(SIDES)} as Parquet files"
        )
    return path


def count_documents(corpus: Path, side: str) -> int:
    """The number of documents on a side, from the file's footer."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(side_file(corpus, side)).num_rows)


def read_batches(corpus: Path, side: str, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
    """The columns asked for, some documents at a time, in the order of the file.

    Batches end where BATCH_CHARACTERS are reached, whatever the file's row groups. `text` must be among the
    columns.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(side_file(corpus, side)) as file:
        missing = set(columns) - set(file.schema_arrow.names)
        if missing:
            raise ValueError(
                f"{corpus / side}.parquet has no column {', '.join(sorted(missing))}; "
                f"it has {', '.join(file.schema_arrow.names)}"
            )
        for record_batch in file.iter_batches(batch_size=BATCH_DOCUMENTS, columns=list(columns)):
            yield from _cut_by_size(record_batch.to_pydict())


def _cut_by_size(table: dict[str, list[Any]]) -> Iterator[dict[str, list[Any]]]:
    start, characters = 0, 0
    for row, text in enumerate(table["text"]):
        characters += len(text)
        if characters >= BATCH_CHARACTERS or row == len(table["text"]) - 1:
            yield {name: values[start : row + 1] for name, values in table.items()}
            start, characters = row + 1, 0
