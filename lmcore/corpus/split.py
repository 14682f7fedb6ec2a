"""Each document goes to train, validation or test, and stays there for ever.

Families are never torn apart, each source is split on its own, and the order in which new families are placed
follows from their names alone. The ledger remembers every place, so that what comes later moves no document.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from lmcore.corpus.clean import NothingLeftError
from lmcore.corpus.document import (
    Decision,
    Document,
    Facts,
    Rejected,
    Writer,
    read,
    reading_order,
    reject,
    rows_of,
)
from lmcore.corpus.ledger import SIDES, Place, Side, read_ledger, write_ledger
from lmcore.corpus.quotas import Family, fill_quotas
from lmcore.corpus.settings import SplitConfig

WITHOUT_TEXT = ("id", "source", "file", "line", "digest", "family")

FamilySides = Mapping[str, set[Side]]
Cuts = Mapping[str, Sequence[tuple[int, int]]]
"""Id of a document -> stretches of its text, ascending, that it has to go without."""


def split_corpus(
    documents: Path,
    decided: Sequence[Path],
    rejected: Sequence[Path],
    ledger: Path | None,
    out: Path,
    settings: SplitConfig,
) -> Facts:
    """Write `train`, `validation`, `test` and `rejected.parquet`, and `ledger.csv`, into `out`.

    A document in the ledger keeps its side and draws the new ones of its family there. The other families of
    a source fill its quotas (`fill_quotas`). A new document whose family stands on two sides already, which
    happens when it links two families, fits on neither and is rejected. The texts are copied once, here: what
    the stages before have decided is put into effect.

    Args:
        documents: the folder that `clean_documents` filled.
        decided: the folders of the stages behind it, in their order: their `decisions.parquet`, and of those
            that have them `families.parquet` and `cuts.parquet`.
        rejected: the folders of the stages that rejected texts themselves, in their `rejected.parquet`.
        ledger: the `ledger.csv` of an earlier split; None, or a file that does not exist, for the first.

    Raises:
        NothingLeftError: no document came, or a side would stay empty whose share is above 0.
        ValueError: the ledger is damaged.
    """
    places = read_ledger(ledger)
    num_known = len(places)
    decisions, families, cuts = _decisions(decided), _families(decided), _cuts(decided)
    everything = [
        replace(document, family=families.get(document.id, ""))
        for document in read(documents / "documents.parquet", Document, WITHOUT_TEXT)
    ]
    found = sorted((each for each in everything if each.id not in decisions), key=reading_order)
    if not found:
        raise NothingLeftError("no document to split; choose more sources, or loosen the filters")
    family_sides = _family_sides(everything, places)
    new = [document for document in found if document.digest not in places]
    places |= _places_of_new(new, found, family_sides, places, settings)
    decisions |= {
        document.id: _torn(document, family_sides) for document in new if document.digest not in places
    }
    write_ledger(out / "ledger.csv", places)
    facts = _write_texts(documents, rejected, places, families, decisions, cuts, out)
    _check_sides(facts, settings)
    return facts | {"new_in_ledger": len(places) - num_known}


def _decisions(decided: Iterable[Path]) -> dict[str, Decision]:
    """Why documents do not go on: the first decision of the first stage that has one."""
    decisions: dict[str, Decision] = {}
    for folder in decided:
        for decision in read(folder / "decisions.parquet", Decision):
            decisions.setdefault(decision.id, decision)
    return decisions


def _families(decided: Iterable[Path]) -> dict[str, str]:
    files = (folder / "families.parquet" for folder in decided)
    return {row["id"]: row["family"] for file in files if file.exists() for row in rows_of(file)}


def _cuts(decided: Iterable[Path]) -> Cuts:
    cuts: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for file in (folder / "cuts.parquet" for folder in decided):
        for row in rows_of(file, ["id", "begin", "end"]) if file.exists() else ():
            cuts[row["id"]].append((row["begin"], row["end"]))
    return {id: sorted(spans) for id, spans in cuts.items()}


def without(text: str, cuts: Sequence[tuple[int, int]]) -> str:
    """The text without some stretches of it; what is left stands apart by a blank line."""
    ends = [0, *(end for _, end in cuts)]
    begins = [*(begin for begin, _ in cuts), len(text)]
    left = (text[end:begin].strip() for end, begin in zip(ends, begins, strict=True))
    return "\n\n".join(filter(None, left))


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


def _write_texts(
    documents: Path,
    rejected: Sequence[Path],
    places: Mapping[str, Place],
    families: Mapping[str, str],
    decisions: Mapping[str, Decision],
    cuts: Cuts,
    out: Path,
) -> Facts:
    """Every document to its side, or to the rejected, in the order in which they came, one at a time."""
    with ExitStack() as stack:
        sides: dict[Side, Writer[Document]] = {
            side: stack.enter_context(Writer(out / f"{side}.parquet", Document)) for side in SIDES
        }
        rejects = stack.enter_context(Writer(out / "rejected.parquet", Rejected))
        for folder in rejected:
            for row in read(folder / "rejected.parquet", Rejected):
                rejects.write(row)
        for document in read(documents / "documents.parquet", Document):
            document = replace(document, family=families.get(document.id, ""))
            if decision := decisions.get(document.id):
                rejects.write(_rejected(document, decision))
                continue
            side = places[document.digest].side
            if spans := cuts.get(document.id):
                document = document.with_text(without(document.text, spans))
            sides[side].write(document)
    facts: Facts = {}
    for side, writer in sides.items():
        facts |= {f"{side}_documents": writer.num_rows, f"{side}_characters": writer.num_characters}
    return facts | {"rejected": rejects.num_rows}


def _rejected(document: Document, decision: Decision) -> Rejected:
    limits = () if decision.value is None else (decision.value, decision.threshold)
    return reject(document, decision.stage, decision.rule, decision.reason, *limits)


def _check_sides(facts: Facts, settings: SplitConfig) -> None:
    shares = {"train": 1.0, "validation": settings.validation_share, "test": settings.test_share}
    for side in SIDES:
        if shares[side] and not facts[f"{side}_documents"]:
            raise NothingLeftError(
                f"no document is left for {side}: each side needs documents of its own that are not near "
                "duplicates of another side's; add documents, or cut the text into several by its chapters "
                "(reader: {type: text, heading: PATTERN})"
            )


def _torn(document: Document, family_sides: FamilySides) -> Decision:
    sides = " and ".join(sorted(family_sides[family_of(document)]))
    reason = f"documents like it stand on {sides} already, so it fits on neither side"
    return Decision(document.id, "split", "family_on_two_sides", None, None, reason)
