"""Which documents go on, decided in SQL over what was measured: no text is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from lmcore.corpus.clean import NothingLeftError
from lmcore.corpus.database import open_database, quoted
from lmcore.corpus.document import Decision, Facts, Writer
from lmcore.corpus.filters import Limit
from lmcore.corpus.settings import FilterPart


def filter_documents(documents: Path, out: Path, filters: Sequence[FilterPart]) -> Facts:
    """Write `decisions.parquet` into `out`: a row for each rule that a document breaks.

    Rows stand in the order of documents, those of one document in the order of filters and their limits; the
    first one is why it does not go on. A document without a row goes on.

    Args:
        documents: the folder that `clean_documents` filled, with the signals of these filters.

    Raises:
        NothingLeftError: every document breaks a rule.
        ValueError: a limit is on something that its filter does not measure.
    """
    limits = [limit for part in filters for limit in part.limits]
    broken: Counter[str] = Counter()
    rejected: dict[str, None] = {}
    with Writer(out / "decisions.parquet", Decision) as writer:
        for decision in _decide(documents / "signals.parquet", limits):
            writer.write(decision)
            if decision.id not in rejected:
                rejected[decision.id] = None
                broken[decision.rule] += 1
    total = _count(documents / "signals.parquet")
    if len(rejected) == total:
        raise NothingLeftError(_nothing_left(broken, total))
    return {"documents": total - len(rejected), "rejected": len(rejected)}


def _decide(signals: Path, limits: Sequence[Limit]) -> Iterator[Decision]:
    table = f"read_parquet({quoted(signals)}, file_row_number = true)"
    with open_database() as database:
        columns = {row[0] for row in database.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()}
        for limit in limits:
            if limit.column not in columns:
                name, _, dial = limit.rule.partition(".")
                raise ValueError(
                    f"filter '{name}' has the limit {dial} and measures no '{dial.partition('_')[2]}'; "
                    "correct the filter"
                )
        if not limits:
            return
        rules = "\nUNION ALL ".join(map(_breaks, range(len(limits)), limits))
        query = f"WITH signals AS (FROM {table}) {rules} ORDER BY row, place"
        cursor = database.execute(query)
        while rows := cursor.fetchmany(10_000):
            for _, place, id, value in rows:
                yield _decision(id, limits[place], value)


def _breaks(place: int, limit: Limit) -> str:
    """The documents that break a limit, as SQL."""
    column = f'"{limit.column}"'
    if limit.kind == "only":
        admitted = ", ".join("'" + str(value).replace("'", "''") + "'" for value in limit.bound) or "''"
        condition = f"{column} NOT IN ({admitted})"
    else:
        condition = f"{column} {'<' if limit.kind == 'min' else '>'} {float(limit.bound)!r}::DOUBLE"
    columns = f"file_row_number AS row, {place} AS place, id, {column}::VARCHAR AS value"
    return f"SELECT {columns} FROM signals WHERE {condition}"


def _decision(id: str, limit: Limit, value: str) -> Decision:
    signal = limit.rule.partition(".")[2].partition("_")[2].replace("_", " ")
    if limit.kind == "only":
        reason = f"{signal} is {value}, not {' or '.join(map(str, limit.bound))}"
        return Decision(id, "filter", limit.rule, None, None, reason)
    side = "below" if limit.kind == "min" else "above"
    reason = f"{signal} {_number(float(value))} is {side} the limit of {_number(limit.bound)}"
    return Decision(id, "filter", limit.rule, float(value), float(limit.bound), reason)


def _number(value: float) -> str:
    return f"{value:.3f}" if value != int(value) else str(int(value))


def _count(signals: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(signals).num_rows)


def _nothing_left(broken: Counter[str], total: int) -> str:
    rule, count = min(broken.items(), key=lambda item: (-item[1], item[0]))
    what = "the only document" if total == 1 else f"all {total} documents"
    return f"the filters rejected {what}, {count} by the rule '{rule}'; loosen or leave it out in `filters`"
