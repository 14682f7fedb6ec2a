"""All that the data half promises of its speed, beside its peers, in one run.

    python bench/data.py WORKSPACE NAME [--megabytes 60]

WORKSPACE holds the products of `lm write_shards NAME`. Cleaning, which its peer takes long for, sees a sixth
of the megabytes; samples are drawn by digest, so that each source has its share. Each part runs in a process
of its own, in turn; leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from lmcore.corpus.document import Document, Writer, read, write
from lmcore.corpus.ledger import SIDES
from lmcore.tokenizers.tokenizer import Tokenizer

CLEANING_SHARE = 1 / 6
BUCKETS = 10_000


def sample(files: Sequence[Path], out: Path, num_bytes: float) -> None:
    """About so many bytes of the documents, whichever file they are in; each id once."""
    size = sum(len(document.text.encode()) for document in _distinct(files))
    wanted = BUCKETS * min(1.0, num_bytes / size)
    with Writer(out, Document) as writer:
        for document in _distinct(files):
            if int(document.digest[:8], 16) % BUCKETS < wanted:
                writer.write(document)


def _distinct(files: Sequence[Path]) -> Iterator[Document]:
    known: set[str] = set()
    for document in (each for file in files for each in read(file, Document)):
        if document.id not in known:
            known.add(document.id)
            yield document


def sample_corpus(corpus: Path, out: Path, num_bytes: float) -> None:
    """A corpus whose train side is a sample, its other sides empty."""
    out.mkdir()
    sample([corpus / "train.parquet"], out / "train.parquet", num_bytes)
    for side in SIDES[1:]:
        write(out / f"{side}.parquet", Document, [])


def main(workspace: Path, name: str, num_bytes: float) -> None:
    data = workspace / "data"
    with tempfile.TemporaryDirectory() as scratch:
        raw, corpus = Path(scratch) / "raw", Path(scratch) / "corpus"
        raw.mkdir()
        sample(
            sorted(data.glob("raw/*/documents.parquet")),
            raw / "documents.parquet",
            CLEANING_SHARE * num_bytes,
        )
        sample_corpus(data / "corpora" / name, corpus, num_bytes)
        tokenizer = data / "tokenizers" / name
        for script, *arguments in (
            ("cleaning", raw),
            ("signatures", data / "documents" / name, data / "filtered" / name),
            ("encoding", corpus, tokenizer),
            ("training", corpus / "train.parquet", str(Tokenizer.load(tokenizer).vocab_size)),
            ("loader", data / "shards" / name),
        ):
            print(f"\n== {script}", flush=True)
            subprocess.run([sys.executable, Path(__file__).with_name(f"{script}.py"), *arguments], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("workspace", type=Path)
    parser.add_argument("name")
    parser.add_argument("--megabytes", type=float, default=60)
    options = parser.parse_args()
    main(options.workspace, options.name, options.megabytes * 1e6)
