"""A corpus as a catalogue: DuckDB views over what the steps on the way to it have left.

| view | a row for each |
|---|---|
| `documents` | document that was read: place, side (or `rejected`), family, words, characters, bytes |
| `texts` | the same: its text, as it is on its side, or as it was when it was rejected |
| `rejected` | document that does not go on, with stage, rule, value, threshold, reason |
| `signals` | document that was judged: what filters measured |
| `decisions` | rule that a document breaks; `is_first` marks the one that counts |
| `edits` | rule of a cleaner that changed a document |
| `duplicates` | pair that is alike, with the evidence |
| `families` | document that filters kept: whom it is alike with |
| `repeats` | stretch that was cut out of a document, as it stands elsewhere |
| `contamination` | document that is alike with a benchmark, with the evidence |
| `files` | file that a source was read from, with digest and licence |
| `shards` | document in a folder of token shards: where its tokens lie |

Texts are in no other view, so that questions about documents never read them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lmcore.corpus.clean import DocumentEdit
from lmcore.corpus.database import open_database, quoted
from lmcore.corpus.document import Decision, Duplicate, schema_of
from lmcore.corpus.ledger import SIDES

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

REJECTED = "rejected"
VIEWS = (
    "documents", "texts", "rejected", "signals", "decisions", "edits", "duplicates", "families", "repeats",
    "contamination", "files", "shards",
)  # fmt: skip
WORD = r"\S+"
_SIGNALS = {"id": "VARCHAR", "source": "VARCHAR", "characters": "DOUBLE", "bytes": "DOUBLE"}
_FAMILIES = {"id": "VARCHAR", "family": "VARCHAR"}
_REPEATS = {
    "id": "VARCHAR", "begin": "BIGINT", "end": "BIGINT", "words": "BIGINT", "first_id": "VARCHAR",
    "first_begin": "BIGINT",
}  # fmt: skip
_CONTAMINATION = {"id": "VARCHAR"}
_SHARDS = {
    "shards": "VARCHAR", "side": "VARCHAR", "id": "VARCHAR", "first_token": "BIGINT", "num_tokens": "BIGINT",
    "num_bytes": "BIGINT",
}  # fmt: skip


class SourceFile(NamedTuple):
    """A file that a source was read from."""

    source: str
    file: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class Products:
    """The folders of a corpus and of what it was made from; what is not there any more is left out."""

    corpus: Path
    documents: Path | None = None
    """With signals and edits."""
    decided: tuple[Path, ...] = ()
    """With decisions, and some with families, duplicates, cuts or contamination; in their order."""
    shards: Mapping[str, Path] = field(default_factory=dict)
    """Folders of token shards that were written from this corpus, by name."""
    files: tuple[SourceFile, ...] = ()
    kept: Path | None = None
    """A folder that belongs to this version of the corpus, in which counts of words are kept."""


@contextmanager
def open_catalogue(products: Products) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory with the views of a corpus, for the time of a `with` block."""
    with open_database() as database:
        for name, query in _views(products).items():
            database.execute(f"CREATE VIEW {name} AS {query}")
        database.execute("CREATE TABLE files (source VARCHAR, file VARCHAR, sha256 VARCHAR, licence VARCHAR)")
        if products.files:
            columns = list(zip(*sorted(products.files), strict=True))
            database.execute("INSERT INTO files SELECT unnest(?), unnest(?), unnest(?), unnest(?)", columns)
        _count_words(database, products)
        yield database


def columns_of(database: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """The columns of each view."""
    return {name: [row[0] for row in database.execute(f"DESCRIBE {name}").fetchall()] for name in VIEWS}


def rows(
    database: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[Any] = ()
) -> list[dict[str, Any]]:
    """What a query gives, by the names of its columns."""
    result = database.execute(query, list(parameters))
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def table_of(path: Path) -> str:
    """A Parquet file as a table in a query, with `file_row_number`."""
    return f"read_parquet({quoted(path)}, file_row_number = true)"


def _views(products: Products) -> dict[str, str]:
    corpus, documents, decided = products.corpus, products.documents, products.decided
    sides = {side: table_of(corpus / f"{side}.parquet") for side in (*SIDES, REJECTED)}
    texts = " UNION ALL ".join(
        f"SELECT '{side}' AS side, id, text, file_row_number AS row FROM {table}"
        for side, table in sides.items()
    )
    rejects = f"SELECT * EXCLUDE (text, family, file_row_number) FROM {sides[REJECTED]}"
    return {
        "texts": texts,
        "rejected": rejects,
        "signals": _first_of(documents, "signals.parquet", _nothing(_SIGNALS)),
        "edits": _first_of(documents, "edits.parquet", _nothing(_kinds_of(DocumentEdit))),
        "decisions": _decisions(decided),
        "duplicates": _union(decided, "duplicates.parquet", _nothing(_kinds_of(Duplicate))),
        "families": _union(decided, "families.parquet", _nothing(_FAMILIES)),
        "repeats": _union(decided, "cuts.parquet", _nothing(_REPEATS)),
        "contamination": _union(decided, "contamination.parquet", _nothing(_CONTAMINATION)),
        "shards": _shards(products.shards),
    }


def _first_of(folder: Path | None, name: str, empty: str) -> str:
    return _union([folder] if folder else [], name, empty)


def _union(folders: Sequence[Path], name: str, empty: str) -> str:
    """All rows of the files of this name; of none, no row with the columns of `empty`."""
    files = [folder / name for folder in folders if _has_columns(folder / name)]
    return (
        " UNION ALL BY NAME ".join(f"SELECT * FROM read_parquet({quoted(file)})" for file in files) or empty
    )


def _has_columns(file: Path) -> bool:
    import pyarrow.parquet as pq

    return file.is_file() and bool(pq.read_schema(file).names)


def _decisions(folders: Sequence[Path]) -> str:
    files = [folder / "decisions.parquet" for folder in folders if (folder / "decisions.parquet").is_file()]
    every = " UNION ALL BY NAME ".join(
        f"SELECT *, {step} AS step FROM {table_of(file)}" for step, file in enumerate(files)
    )
    first = "row_number() OVER (PARTITION BY id ORDER BY step, file_row_number) = 1 AS is_first"
    nothing = _nothing(_kinds_of(Decision) | {"is_first": "BOOLEAN"})
    return f"SELECT * EXCLUDE (step, file_row_number), {first} FROM ({every})" if files else nothing


def _shards(folders: Mapping[str, Path]) -> str:
    parts = []
    for name, folder in folders.items():
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        for side, entry in index["sides"].items():
            table = f"read_parquet({quoted(folder / entry['document_table']['file'])})"
            spelled = name.replace("'", "''")
            columns = f"'{spelled}' AS shards, '{side}' AS side, id, first_token, num_tokens, num_bytes"
            parts.append(f"SELECT {columns} FROM {table}")
    return " UNION ALL ".join(parts) or _nothing(_SHARDS)


def _nothing(kinds: Mapping[str, str]) -> str:
    columns = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in kinds.items())
    return f"SELECT {columns} WHERE false"


def _kinds_of(record: type[Any]) -> dict[str, str]:
    known = {"string": "VARCHAR", "int64": "BIGINT", "double": "DOUBLE"}
    schema: pa.Schema = schema_of(record)
    return {entry.name: known[str(entry.type)] for entry in schema}


def _count_words(database: duckdb.DuckDBPyConnection, products: Products) -> None:
    """Make the view `documents`: the one that has to look into the texts, once for a version of a corpus."""
    if products.kept is None:
        database.execute(f"CREATE TABLE documents AS {_counted(products.corpus)}")
        return
    file = products.kept / "documents.parquet"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_name(f".{file.name}.{os.getpid()}")
        database.execute(f"COPY ({_counted(products.corpus)}) TO {quoted(scratch)} (FORMAT parquet)")
        scratch.replace(file)
    database.execute(f"CREATE VIEW documents AS SELECT * FROM read_parquet({quoted(file)})")


def _counted(corpus: Path) -> str:
    columns = ("id", "source", "file", "line", "title", "family", "digest")
    every = " UNION ALL ".join(
        f"SELECT '{side}' AS side, {', '.join(columns)}, text FROM {table_of(corpus / f'{side}.parquet')}"
        for side in (*SIDES, REJECTED)
    )
    counts = (
        f"len(regexp_extract_all(text, '{WORD}')) AS words, length(text) AS characters, strlen(text) AS bytes"
    )
    return f"SELECT * EXCLUDE (text), {counts} FROM ({every})"
