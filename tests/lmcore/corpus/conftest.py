"""What the tests of the corpus share: folders of documents made of a few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmcore.corpus.document import Decision, Document, Rejected, digest_of, write

Texts = Mapping[str, list[str]]


def documents_of(texts: Texts, families: Mapping[str, str] | None = None) -> list[Document]:
    """One file a source; `families` maps a text to its family."""
    return [
        Document(
            id=f"{source}/file.txt#{number}",
            source=source,
            file="file.txt",
            line=number,
            title=f"{source} {number}",
            text=text,
            digest=digest_of(text),
            family=(families or {}).get(text, digest_of(text)),
        )
        for source in texts
        for number, text in enumerate(texts[source], start=1)
    ]


@pytest.fixture
def folder_of(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder as stages leave it, nothing rejected: `folder_of("name", {source: [text, ...]})`."""

    def make(name: str, texts: Texts, families: Mapping[str, str] | None = None) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        rows = documents_of(texts, families)
        write(folder / "documents.parquet", Document, rows)
        write(folder / "rejected.parquet", Rejected, [])
        write(folder / "decisions.parquet", Decision, [])
        table = {"id": [row.id for row in rows], "family": [row.family for row in rows]}
        pq.write_table(pa.table(table), folder / "families.parquet")
        return folder

    return make


@pytest.fixture
def new_folder(tmp_path: Path) -> Callable[[str], Path]:
    """Makes an empty folder for a stage to fill."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        return folder

    return make
