"""A small corpus with all that is made on the way to it, by the stages; of duplicates only copies go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lmcore.corpus.catalogue import Products, SourceFile
from lmcore.corpus.clean import clean_documents
from lmcore.corpus.document import Decision, Document, Duplicate, read, write
from lmcore.corpus.filter import filter_documents
from lmcore.corpus.ingest import read_source
from lmcore.corpus.settings import CleanerPart, FilterPart, NormalizeConfig, Source, SplitConfig
from lmcore.corpus.split import split_corpus
from lmcore.lineage import file_digest

FILTERS = (
    FilterPart(type="length", min_words=5),
    FilterPart(type="gopher_quality", min_words=6, min_stop_words=1),
)
SPLIT = SplitConfig(validation_share=0.2, test_share=0.2)


def prepare(
    folder: Path,
    sources: Mapping[str, Mapping[str, str]],
    *,
    filters: Sequence[FilterPart] = FILTERS,
    cleaners: Sequence[CleanerPart] = (),
    split: SplitConfig = SPLIT,
    reader: str = "text",
) -> Products:
    """Folders `raw/<source>`, `documents`, `filtered`, `deduplicated` and `corpus`, from texts of files."""
    made = {name: folder / name for name in ("documents", "filtered", "deduplicated", "corpus")}
    for path in made.values():
        path.mkdir(parents=True)
    raw, files = [], []
    for name, texts in sources.items():
        root, out = folder / "sources" / name, folder / "raw" / name
        root.mkdir(parents=True)
        out.mkdir(parents=True)
        for file, text in texts.items():
            (root / file).write_text(text, encoding="utf-8")
            files.append(SourceFile(name, file, file_digest(root / file), "my own"))
        source = Source(title=name, origin="here", licence="my own", reader={"type": reader})
        read_source(source, name, [Path(file) for file in texts], root, out)
        raw.append(out)
    measurements = [part.measurement for part in filters]
    clean_documents(raw, made["documents"], NormalizeConfig(), cleaners, measurements)
    filter_documents(made["documents"], made["filtered"], filters)
    remove_copies(made["documents"], made["filtered"], made["deduplicated"])
    decided = (made["filtered"], made["deduplicated"])
    split_corpus(made["documents"], decided, [*raw, made["documents"]], None, made["corpus"], split)
    return Products(made["corpus"], made["documents"], decided, {}, tuple(files))


def remove_copies(documents: Path, filtered: Path, out: Path) -> None:
    """What the comparison of documents leaves, as far as texts are equal."""
    rejected = {row.id for row in read(filtered / "decisions.parquet", Decision)}
    left = [row for row in read(documents / "documents.parquet", Document) if row.id not in rejected]
    first: dict[str, Document] = {}
    found = [row for row in left if first.setdefault(row.digest, row) is not row]
    write(
        out / "duplicates.parquet",
        Duplicate,
        [Duplicate(row.id, first[row.digest].id, row.digest, row.digest, 1.0, 1.0, "exact") for row in found],
    )
    reason = "the same text as '{}'"
    write(
        out / "decisions.parquet",
        Decision,
        [
            Decision(row.id, "deduplicate", "exact_duplicate", 1.0, 1.0, reason.format(first[row.digest].id))
            for row in found
        ],
    )
    table = {"id": [row.id for row in left], "family": [row.digest for row in left]}
    pq.write_table(pa.table(table), out / "families.parquet")
