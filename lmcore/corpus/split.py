"""Each document goes to train, validation or test, and stays there for ever.

Families are never torn apart, each source is split on its own, and the order in which new families are placed
follows from their names alone. The ledger remembers every place, so that what comes later moves no document.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lmcore.corpus.clean import NothingLeftError
from lmcore.corpus.document import Document, Facts, Rejected, Writer, read, reading_order, reject, write
from lmcore.corpus.ledger import SIDES, Place, Side, read_ledger, write_ledger
from lmcore.corpus.quotas import Family, fill_quotas
from lmcore.corpus.settings import SplitConfig

WITHOUT_TEXT = ("id", "source", "file", "line", "digest", "family")
STAGES = ("ingest", "clean", "deduplicate", "split")

FamilySides = Mapping[str, set[Side]]


def split_corpus(
    documents: Path, rejected: Sequence[Path], ledger: Path | None, out: Path, settings: SplitConfig
) -> Facts:
    """Write `train`, `validation`, `test` and `rejected.parquet`, and `ledger.csv`, into `out`.

    A document in the ledger keeps its side and draws the new ones of its family there. The other families of
    a source fill its quotas (`fill_quotas`). A new document whose family stands on two sides already, which
    happens when it links two families, fits on neither and is rejected.

    Args:
        documents: the folder that `deduplicate` filled.
        rejected: the folders of all stages before, whose `rejected.parquet` are put together.
        ledger: the `ledger.csv` of an earlier split; None, or a file that does not exist, for the first.

    Raises:
        NothingLeftError: no document came, or a side would stay empty whose share is above 0.
        ValueError: the ledger is damaged.
    """
    places = read_ledger(ledger)
    num_known = len(places)
    found = sorted(read(documents / "documents.parquet", Document, WITHOUT_TEXT), key=reading_order)
    if not found:
        raise NothingLeftError("no document to split; choose more sources, or loosen the filters")
    rejects = [row for folder in rejected for row in read(folder / "rejected.parquet", Rejected)]
    family_sides = _family_sides([*found, *rejects], places)
    new = [document for document in found if document.digest not in places]
    places |= _places_of_new(new, found, family_sides, places, settings)
    torn = [document for document in new if document.digest not in places]
    write_ledger(out / "ledger.csv", places)
    facts = _write_sides(documents, places, out)
    _check_sides(facts, settings)
    rejects += _reject_torn(documents, torn, family_sides)
    rejects.sort(key=lambda row: (STAGES.index(row.stage), reading_order(row)))
    write(out / "rejected.parquet", Rejected, rejects)
    return facts | {"rejected": len(rejects), "new_in_ledger": len(places) - num_known}


def family_of(document: Document) -> str:
    """A document that was not looked at for duplicates is a family of its own."""
    return document.family or document.digest


def _family_sides(documents: Iterable[Document], places: Mapping[str, Place]) -> FamilySides:
    """The sides on which each family stands already.

    Members that were removed as duplicates count: a longer copy of a test document must not begin to train.
    """
    sides: defaultdict[str, set[Side]] = defaultdict(set)
    for document in documents:
        if document.digest in places:
            sides[family_of(document)].add(places[document.digest].side)
    return sides


def _places_of_new(
    new: Sequence[Document],
    found: Sequence[Document],
    family_sides: FamilySides,
    places: Mapping[str, Place],
    settings: SplitConfig,
) -> dict[str, Place]:
    """A place for each new document, except for those whose family stands on two sides."""
    sides = {name: min(known) for name, known in family_sides.items() if len(known) == 1}
    counts: Counter[tuple[str, Side]] = Counter()
    for document in found:
        known = places.get(document.digest)
        if side := known.side if known else sides.get(family_of(document)):
            counts[document.source, side] += 1
    members: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for document in new:
        if family_of(document) not in family_sides:
            members[family_of(document)][document.source] += 1
    families = [Family(name, sources) for name, sources in members.items()]
    sides |= fill_quotas(families, counts, Counter(document.source for document in found), settings)
    return {
        document.digest: Place(side, document.source)
        for document in reversed(new)  # of one digest in two sources, the first in reading order counts
        if (side := sides.get(family_of(document)))
    }


def _write_sides(documents: Path, places: Mapping[str, Place], out: Path) -> Facts:
    by_side: dict[Side, list[Document]] = {side: [] for side in SIDES}
    for document in read(documents / "documents.parquet", Document):
        if place := places.get(document.digest):
            by_side[place.side].append(document)
    facts: Facts = {}
    for side in SIDES:
        with Writer(out / f"{side}.parquet", Document) as writer:
            for document in sorted(by_side[side], key=reading_order):
                writer.write(document)
        facts |= {f"{side}_documents": writer.num_rows, f"{side}_characters": writer.num_characters}
    return facts


def _check_sides(facts: Facts, settings: SplitConfig) -> None:
    shares = {"train": 1.0, "validation": settings.validation_share, "test": settings.test_share}
    for side in SIDES:
        if shares[side] and not facts[f"{side}_documents"]:
            raise NothingLeftError(
                f"no document is left for {side}: each side needs documents of its own that are not near "
                "duplicates of another side's; add documents, or cut the text into several by its chapters "
                "(reader: {type: text, heading: PATTERN})"
            )


def _reject_torn(documents: Path, torn: Sequence[Document], family_sides: FamilySides) -> list[Rejected]:
    ids = {document.id for document in torn}
    rows = []
    for document in read(documents / "documents.parquet", Document) if ids else ():
        if document.id in ids:
            sides = " and ".join(sorted(family_sides[family_of(document)]))
            reason = f"documents like it stand on {sides} already, so it fits on neither side"
            rows.append(reject(document, "split", "family_on_two_sides", reason))
    return rows
