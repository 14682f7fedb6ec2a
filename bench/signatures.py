"""Near-duplicate signatures, and all of deduplication, in CPU-seconds and memory of one process.

    python bench/signatures.py DOCUMENTS FILTERED     such as data/documents/demo data/filtered/demo

From Parquet to signatures on disk, with nothing kept from before; megabytes are of UTF-8 text. The peer is
datatrove's stage of signatures (14 bands of 8 hashes, ours 96 of 2), on the first ten megabytes of the same
texts held in memory, with words between white space in place of spaCy's.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cleaning import make_peer_work, our_words

from lmcore.corpus.chunks import chunks_of
from lmcore.corpus.deduplicate import deduplicate
from lmcore.corpus.document import Document, read
from lmcore.corpus.fingerprints import Fingerprints
from lmcore.corpus.pieces import kept_or_passing
from lmcore.corpus.settings import DeduplicateConfig

PEER_BYTES = 10_000_000


def measure(work: Callable[[Path], object]) -> float:
    """Processor seconds."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        work(Path(folder))
        return time.process_time() - began


def sign(documents: Path) -> None:
    with kept_or_passing(None) as pieces:
        Fingerprints.make(chunks_of(documents / "documents.parquet"), DeduplicateConfig(), pieces, cores=1)


def sign_with_datatrove(texts: list[str], folder: Path) -> None:
    from datatrove.data import Document as Page
    from datatrove.pipeline.dedup import MinhashDedupSignature

    pages = (Page(text=text, id=str(number)) for number, text in enumerate(texts))
    make_peer_work()
    with our_words():
        MinhashDedupSignature(str(folder)).run(pages, 0, 1)


def main(documents: Path, filtered: Path) -> None:
    texts, size, some = [], 0, 0
    for document in read(documents / "documents.parquet", Document, ["text"]):
        size += len(document.text.encode())
        if some < PEER_BYTES:
            texts.append(document.text)
            some += len(document.text.encode())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours = size / measure(lambda _: sign(documents)) / 1e6
    print(f"signatures {ours:6.1f} MB per CPU-second, {size / 1e6:.0f} MB")
    whole = size / measure(lambda out: deduplicate(documents, filtered, out, DeduplicateConfig())) / 1e6
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"all of it  {whole:6.1f} MB per CPU-second, {memory / 1e3:.0f} MB on top of {before / 1e3:.0f} MB")
    theirs = some / measure(lambda out: sign_with_datatrove(texts, out)) / 1e6
    print(f"datatrove's signatures {theirs:.2f} MB per CPU-second; ratio {ours / theirs:.1f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
