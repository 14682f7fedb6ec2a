"""Documents are normalised, then judged by the filters in order; the rejected are kept with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from lmcore.corpus.document import Document, Facts, Progress, Rejected, Writer, read, reject
from lmcore.corpus.filters import Rejection
from lmcore.corpus.normalize import normalize_text
from lmcore.corpus.settings import FilterPart, NormalizeConfig

Filter = Callable[[str], Rejection | None]


class NothingLeftError(ValueError):
    """A stage would hand on no document at all: which rule took most of them, and the cure."""


def clean_documents(
    raw: Sequence[Path],
    out: Path,
    normalize: NormalizeConfig,
    filters: Sequence[FilterPart],
    progress: Progress | None = None,
) -> Facts:
    """Clean the documents of raw folders into `documents.parquet` and `rejected.parquet` in `out`.

    Args:
        raw: folders that `read_source` filled.
        progress: called with the number of folders cleaned, and of all.

    Raises:
        NothingLeftError: every document was rejected.
        ValueError: two documents have one id (a source was chosen twice).
    """
    rules = [part.build() for part in filters]
    seen: set[str] = set()
    broken: Counter[str] = Counter()
    with (
        Writer(out / "documents.parquet", Document) as kept,
        Writer(out / "rejected.parquet", Rejected) as rejected,
    ):
        for number, folder in enumerate(raw, start=1):
            for document in read(folder / "documents.parquet", Document):
                if document.id in seen:
                    raise ValueError(f"document '{document.id}' came twice; choose each source once")
                seen.add(document.id)
                document = document.with_text(normalize_text(document.text, normalize))
                if verdict := judge(document, rules):
                    rejected.write(verdict)
                    broken[verdict.rule] += 1
                else:
                    kept.write(document)
            if progress:
                progress(number, len(raw))
    if not kept.num_rows:
        raise NothingLeftError(_nothing_left(broken))
    return {"documents": kept.num_rows, "rejected": rejected.num_rows, "characters": kept.num_characters}


def judge(document: Document, filters: Sequence[Filter]) -> Rejected | None:
    """The rejection by the first filter that the document does not pass; None if it passes all."""
    if not document.text:
        return reject(document, "clean", "empty", "no text is left after normalising")
    for passes in filters:
        if verdict := passes(document.text):
            rule, value, threshold = verdict
            side = "below" if value < threshold else "above"
            reason = f"{rule} is {_number(value)}, {side} the limit of {_number(threshold)}"
            return reject(document, "clean", rule, reason, value, threshold)
    return None


def _number(value: float) -> str:
    return f"{value:.3f}" if value != int(value) else str(int(value))


def _nothing_left(broken: Counter[str]) -> str:
    if not broken:
        return "no document to clean; choose a source that has some"
    rule, count = min(broken.items(), key=lambda item: (-item[1], item[0]))
    total = broken.total()
    what = "the only document" if total == 1 else f"all {total} documents"
    return f"the filters rejected {what}, {count} by the rule '{rule}'; loosen or leave it out in `filters`"
