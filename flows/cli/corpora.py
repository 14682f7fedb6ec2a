"""`lm data stats`, `sample`, `sql`, `try` and `report`: a corpus as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from flows.cli.running import use_parts
from flows.cli.screen import console
from flows.cli.tables import cells, excerpt, print_csv, print_json, table
from lmcore.config import SettingsError, did_you_mean
from tasks.catalogue import FoundCorpus, filters_of, find_corpus
from tasks.engine.workspace import find_workspace
from tasks.words import count

if TYPE_CHECKING:
    import duckdb

EXCERPT = 280
"""Characters of a document."""
SHOWN = 40
"""Rows of a query that are shown in a terminal."""
CRAMPED = 10
"""With fewer characters for each column, a table would show names and values cut to nothing."""
EXAMPLES = 5
ROOMY = 70
"""Columns of a terminal from which all figures have room."""
SIDES = ("train", "validation", "test", "rejected")


@contextmanager
def opened(
    out: Console, name: str | None, *, is_quiet: bool = False
) -> Iterator[tuple[FoundCorpus, duckdb.DuckDBPyConnection]]:
    """A corpus and its catalogue; the first line says which one it is, where nobody said."""
    from lmcore.corpus.catalogue import open_catalogue

    workspace = find_workspace()
    use_parts(workspace)
    found = find_corpus(workspace, name)
    if not is_quiet:
        if name is None and not found.is_only:
            out.print(Text(f"corpus {found.name}, made last (another one: --corpus NAME)", style="dim"))
        if found.note:
            out.print(Text(found.note, style="yellow"))
    with open_catalogue(found.products) as database:
        yield found, database


def stats_command(name: str | None, alarm_share: float, as_json: bool) -> None:
    from lmcore.corpus.statistics import alarms, in_words, statistics

    out = console()
    with opened(out, name, is_quiet=as_json) as (found, database):
        tables = statistics(database)
    alarming = alarms(tables, alarm_share)
    if as_json:
        print_json({"corpus": found.name, **tables, "alarms": alarming})
        return
    for alarm in alarming:
        out.print(Text(f"alarm: {in_words(alarm)}", style="bold red"))
    _show_sides(out, tables)
    _show_rejected(out, tables)
    _show_lengths(out, tables)
    _show_languages(out, tables)


def _show_sides(out: Console, tables: dict[str, list[dict[str, Any]]]) -> None:
    figures = ("documents", "words", "characters")[: 3 if out.width >= ROOMY else 2]
    shown = table("source", "side", *figures, numbers=figures)
    totals = dict.fromkeys(figures, 0)
    for source in tables["sources"]:
        name = source["source"]
        rows = [row for row in tables["sides"] if row["source"] == name]
        for row in sorted(rows, key=lambda row: SIDES.index(row["side"])):
            totals = {each: total + row[each] for each, total in totals.items()}
            shown.add_row(*cells(name, row["side"], *(row[each] for each in figures)))
        if lost := [row for row in tables["rejected"] if row["source"] == name]:
            sums = [sum(row[each] for row in lost) for each in figures]
            shown.add_row(*cells(name, "rejected", *sums), style="dim")
    shown.add_row(*cells("in all", "kept", *totals.values()), style="bold")
    out.print(shown)


def _show_rejected(out: Console, tables: dict[str, list[dict[str, Any]]]) -> None:
    if not tables["rejected"]:
        out.print("nothing was rejected")
        return
    sizes = {row["source"]: row["kept"] + row["rejected"] for row in tables["sources"]}
    shown = table("rejected of", "by", "documents", "share", numbers=("documents", "share"))
    for row in sorted(tables["rejected"], key=lambda row: (row["source"], -row["documents"], row["rule"])):
        share = f"{row['documents'] / sizes[row['source']]:.1%}"
        shown.add_row(*cells(row["source"], f"{row['stage']} {row['rule']}", row["documents"], share))
    out.print()
    out.print(shown)


def _show_lengths(out: Console, tables: dict[str, list[dict[str, Any]]]) -> None:
    titles = ("words of", "least", "5 %", "25 %", "half", "75 %", "95 %", "most")
    shown = table(*titles, numbers=titles[1:])
    for row in tables["lengths"]:
        shown.add_row(*cells(*row.values()))
    if tables["lengths"]:
        out.print()
        out.print(shown)


def _show_languages(out: Console, tables: dict[str, list[dict[str, Any]]]) -> None:
    shown = table("language of", "language", "documents", numbers=("documents",))
    for row in tables["languages"]:
        shown.add_row(*cells(*row.values()))
    if tables["languages"]:
        out.print()
        out.print(shown)


def sample_command(
    name: str | None,
    number: int,
    rejected: str | None,
    source: str | None,
    side: str | None,
    seed: int,
    as_json: bool,
) -> None:
    out = console()
    with opened(out, name, is_quiet=as_json) as (_, database):
        rows = _sampled(database, number, rejected, source, side, seed)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        out.print()
        out.print(Text.assemble((row["id"], "bold"), f"  {row['title']}"))
        why = f", {row['stage']} {row['rule']}: {row['reason']}" if row["rule"] else ""
        out.print(
            Text(f"{row['side']}, {count(row['words'], 'word')}, line {row['line']:,}{why}", style="dim")
        )
        out.print(Text(excerpt(row["text"], EXCERPT)))
    if not rows:
        out.print("no document is like that")


def _sampled(
    database: duckdb.DuckDBPyConnection,
    number: int,
    rejected: str | None,
    source: str | None,
    side: str | None,
    seed: int,
) -> list[dict[str, Any]]:
    from lmcore.corpus.catalogue import rows

    known = {row["rule"]: row["stage"] for row in rows(database, "SELECT DISTINCT stage, rule FROM rejected")}
    asked = [
        (
            "source",
            source,
            [row["source"] for row in rows(database, "SELECT DISTINCT source FROM documents")],
        ),
        ("side", side, list(SIDES)),
        ("rule", rejected, [*known, *known.values()]),
    ]
    for what, value, there in asked:
        if value is not None and value not in there:
            raise SettingsError(f"no {what} '{value}' here.{did_you_mean(value, set(there))}")
    query = """
        SELECT id, title, source, file, line, side, words, stage, rule, reason
        FROM documents LEFT JOIN (SELECT id, stage, rule, reason FROM rejected) USING (id)
        WHERE ($source IS NULL OR source = $source) AND ($side IS NULL OR side = $side)
            AND ($rule IS NULL OR (side = 'rejected' AND $rule IN (rule, stage)))
        ORDER BY sha256($seed || ' ' || digest || id) LIMIT $number
    """
    wanted = {"source": source, "side": side, "rule": rejected, "seed": str(seed), "number": number}
    result = database.execute(query, wanted)
    names = [column[0] for column in result.description or ()]
    chosen = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    ids = [row["id"] for row in chosen]
    texts = dict(database.execute("SELECT id, text FROM texts WHERE list_contains(?, id)", [ids]).fetchall())
    return [row | {"text": texts[row["id"]]} for row in chosen]


def sql_command(query: str, name: str | None, as_csv: bool, as_json: bool) -> None:
    import duckdb

    from lmcore.corpus.catalogue import columns_of

    out = console()
    with opened(out, name, is_quiet=as_csv or as_json) as (_, database):
        there = columns_of(database)
        try:
            if not database.extract_statements(query):
                raise SettingsError('the query is empty; write one, such as "FROM documents LIMIT 5"')
            result = database.execute(query)
            names = [column[0] for column in result.description or ()]
            # A terminal shows the first rows only, so that no more of them are fetched.
            rows = result.fetchall() if as_csv or as_json else result.fetchmany(SHOWN + 1)
        except duckdb.Error as error:
            told = " ".join(str(error).split("\n\n")[0].split("LINE ")[0].split())
            named = set(re.findall(r"\w+", query.lower())) & there.keys()
            columns = "".join(f"; {view} has {', '.join(there[view])}" for view in there if view in named)
            raise SettingsError(f"{told} There is {', '.join(there)}{columns}") from None
    if as_csv:
        print_csv(names, rows)
    elif as_json:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        _show_rows(out, names, rows)


def _show_rows(out: Console, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    if len(names) * CRAMPED > out.width:
        _show_each(out, names, rows[:SHOWN])
    else:
        _show_table(out, names, rows[:SHOWN])
    if len(rows) > SHOWN:
        out.print(f"the first {SHOWN} rows; all of them: --csv or --json", style="dim")


def _show_table(out: Console, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    numeric = [
        name
        for place, name in enumerate(names)
        if rows and all(isinstance(row[place], int | float | None) for row in rows)
    ]
    shown = table(*names, numbers=numeric)
    for row in rows:
        shown.add_row(*cells(*(_cell(value) for value in row)))
    out.print(shown)


def _show_each(out: Console, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Rows below each other, a line for each of their values."""
    widest = max(map(len, names))
    for number, row in enumerate(rows):
        if number:
            out.print()
        for name, cell in zip(names, cells(*(_cell(value) for value in row)), strict=True):
            out.print(Text.assemble((f"{name:<{widest}}  ", "dim"), cell))


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:,.6g}"
    text = str(value) if not isinstance(value, int) else ""
    return value if isinstance(value, int) else "" if value is None else (
        f"{text[:EXCERPT]} …" if len(text) > EXCERPT else text
    )  # fmt: skip


def try_command(limits: Sequence[str], name: str | None, as_json: bool) -> None:
    from lmcore.corpus.trial import try_limits, with_limits

    out = console()
    with opened(out, name, is_quiet=as_json) as (found, database):
        if found.products.documents is None:
            raise SettingsError(
                f"what was measured for corpus '{found.name}' is not there any more; run its flow"
            )
        trial = try_limits(database, found.products.documents, with_limits(filters_of(found), limits))
    if as_json:
        print_json({"sources": trial.sources, "changed": trial.changed})
        return
    numbers = ("documents", "rejected now", "then", "more out", "back in")
    shown = table("source", *numbers, numbers=numbers)
    for row in trial.sources:
        shown.add_row(*cells(*row.values()))
    out.print(shown)
    if not trial.changed:
        out.print("no document's fate would be another one", style="bold")
    for row in trial.changed[:EXAMPLES]:
        verb = "would be rejected" if row["is_rejected"] else "would come back"
        out.print(Text(f"  {row['id']} {verb}: {row['rule']}, {row['reason']}"))
    if len(trial.changed) > EXAMPLES:
        out.print(f"  and {len(trial.changed) - EXAMPLES:,} more (--json tells all)", style="dim")
    out.print(
        "by the filters alone: who is a duplicate of whom may change with them. To have it so, set the limit "
        "in the experiment's `filters`",
        style="dim",
    )


def report_command(name: str | None, is_opened: bool) -> None:
    from tasks.describe import report_of

    workspace, out = find_workspace(), console()
    found = find_corpus(workspace, name)
    page = report_of(workspace, found)
    if page is None:
        raise SettingsError(
            f"no report on corpus '{found.name}' yet; its flow writes one: lm prepare_corpus EXPERIMENT"
        )
    out.print(Text(str(page)))
    if is_opened:
        import webbrowser

        if not webbrowser.open(page.absolute().as_uri()):
            out.print("there is no browser here; open that file in one")
