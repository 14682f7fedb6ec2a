"""`lm data why`, `duplicates`, `diff` and `search`: single documents."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from flows.cli.corpora import SIDES, opened
from flows.cli.screen import console
from flows.cli.tables import cells, labelled, print_json, table
from lmcore.config import SettingsError, did_you_mean
from tasks.catalogue import filters_of, lines_of
from tasks.engine.workspace import find_workspace
from tasks.words import count

if TYPE_CHECKING:
    import duckdb

    from lmcore.corpus.biography import Life
    from lmcore.corpus.search import Hit

SHOWN = 12
"""Documents of a list, and changed lines of two texts."""
LINE = 240
"""Characters of a line of a text."""


def why_command(called: str, name: str | None, as_json: bool) -> None:
    from lmcore.corpus.biography import find_document, life_of

    out = console()
    with opened(out, name, is_quiet=as_json) as (found, database):
        limits = [limit for part in filters_of(found) for limit in part.limits]
        life = life_of(database, find_document(database, called), limits)
        root = found.roots.get(life.document["source"])
    if as_json:
        measured = [
            {"signal": each.signal, "value": each.value, "limit": each.limit and each.limit.rule,
             "bound": each.limit and each.limit.bound, "is_broken": each.is_broken}
            for each in life.measured
        ]  # fmt: skip
        print_json(vars(life) | {"measured": measured})
        return
    document = life.document
    out.print(Text.assemble((document["id"], "bold"), f"  {document['title']}"))
    place = f"{root}/{document['file']}" if root else f"{document['source']}/{document['file']}"
    labelled(out, "file", f"{place}:{document['line']}")
    size = f"{count(document['words'], 'word')}, {document['characters']:,} characters"
    labelled(out, "text", f"{size}, digest {document['digest'][:12]}")
    for label, line in _told(life):
        labelled(out, label, line)
    _show_measured(out, life)


def _told(life: Life) -> Iterator[tuple[str, str]]:
    for edit in life.edits:
        example = f", such as {edit['example']}" if edit["example"] else ""
        yield "edited", f"{edit['cleaner']} {edit['rule']}: {count(edit['occurrences'], 'place')}{example}"
    for decision in life.decisions:
        label = "decision" if decision["is_first"] else "also"
        yield label, f"{decision['stage']} {decision['rule']}: {decision['reason']}"
    own = life.document["id"]
    for pair in life.duplicates[:SHOWN]:
        yield "like", _pair(own, pair)
    for stretch in life.repeats:
        yield "cut out", f"{count(stretch['words'], 'word')} that stand in {stretch['first_id']}"
    if life.family:
        others = ", ".join(f"{row['id']} ({row['side']})" for row in life.family[:SHOWN])
        yield "family", f"with {count(len(life.family), 'other document')}: {others}"
    if life.rejected:
        yield "rejected", f"by {life.rejected['stage']} {life.rejected['rule']}: {life.rejected['reason']}"
    else:
        yield "side", life.document["side"]
    for span in life.spans:
        last = span["first_token"] + span["num_tokens"] - 1
        yield (
            "tokens",
            f"{span['shards']}/{span['side']}:{span['first_token']} to {last} ({span['num_tokens']:,})",
        )


def _pair(own: str, pair: dict[str, Any]) -> str:
    is_keeper = pair["keeper"] == own
    other = pair["removed"] if is_keeper else pair["keeper"]
    went = "both stayed" if pair["how"] == "family" else "that one went" if is_keeper else "this one went"
    alike = f"Jaccard {pair['jaccard']:.3f}, containment {pair['containment']:.3f}"
    return f"{other}: {alike}, {pair['how']}, {went}"


def _show_measured(out: Console, life: Life) -> None:
    shown = table("measured", "value", "limit", "", numbers=("value",))
    for each in life.measured:
        if each.limit is None:
            continue
        word = {"min": "at least", "max": "at most", "only": "only"}[each.limit.kind]
        bound = (
            ", ".join(map(str, each.limit.bound)) if each.limit.kind == "only" else f"{each.limit.bound:g}"
        )
        value = f"{each.value:.4g}" if isinstance(each.value, float) else str(each.value)
        style = "red" if each.is_broken else ""
        shown.add_row(
            *cells(each.signal, value, f"{word} {bound}", "broken" if each.is_broken else ""), style=style
        )
    if shown.row_count:
        out.print()
        out.print(shown)


def duplicates_command(called: str, name: str | None) -> None:
    from lmcore.corpus.biography import find_document, life_of

    out = console()
    with opened(out, name) as (found, database):
        life = life_of(database, find_document(database, called), [])
        id = life.document["id"]
        others = [pair["removed"] if pair["keeper"] == id else pair["keeper"] for pair in life.duplicates]
        texts = _texts_of(found.products.documents, database, [id, *others[:SHOWN]])
    out.print(Text.assemble((id, "bold"), f"  {life.document['title']}"))
    if not life.duplicates:
        out.print("no document is like it")
    for pair, other in zip(life.duplicates[:SHOWN], others, strict=False):
        out.print()
        out.print(Text(_pair(id, pair)))
        if texts[id] == texts[other]:
            out.print(Text("  the same text", style="dim"))
        for sign, line in _differences(texts[id], texts[other]):
            out.print(Text(f"  {sign} {line}", style="green" if sign == "+" else "red"))
    if len(others) > SHOWN:
        out.print(
            f"and {len(others) - SHOWN} more: lm data sql \"FROM duplicates WHERE keeper = '{id}'\"",
            style="dim",
        )


def _texts_of(documents: Any, database: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> dict[str, str]:
    """Clean texts, before anything was cut out of them; where these are gone, those of the corpus."""
    from lmcore.corpus.catalogue import table_of

    source = table_of(documents / "documents.parquet") if documents else "texts"
    return dict(
        database.execute(f"SELECT id, text FROM {source} WHERE list_contains(?, id)", [ids]).fetchall()
    )


def _differences(one: str, other: str) -> Iterator[tuple[str, str]]:
    """The first lines that only one of two texts has: - of the first one, + of the other."""
    lines = [line for line in difflib.ndiff(one.splitlines(), other.splitlines()) if line[:2] in ("- ", "+ ")]
    for line in [each for each in lines if each[2:].strip()][:SHOWN]:
        text = line[2:].strip()
        yield line[0], text[:LINE] + (" …" if len(text) > LINE else "")


def diff_command(was: str, now: str | None, as_json: bool) -> None:
    from lmcore.corpus.catalogue import open_catalogue
    from lmcore.corpus.differences import compare_corpora, standings
    from tasks.corpus_versions import corpus_version, version_before

    workspace, out = find_workspace(), console()
    sides = (was, now) if now else (version_before(workspace, was), was)
    titles, lists = [], []
    for called in sides:
        with corpus_version(workspace, called) as (title, products), open_catalogue(products) as database:
            titles.append(title)
            lists.append(standings(database))
    found = compare_corpora(*lists)
    if as_json:
        turned = [{"turn": t.turn, "was": t.was._asdict(), "now": t.now._asdict()} for t in found.turned]
        changes = [change._asdict() for change in found.changes]
        print_json({"same": found.num_same, "changes": changes, "turned": turned})
        return
    kinds = Counter(change.kind for change in found.changes) + Counter(each.turn for each in found.turned)
    told = ", ".join(f"{number:,} {kind}" for kind, number in kinds.items())
    out.print(
        f"{' to '.join(titles)}: {count(found.num_same, 'document')} as before"
        + (f", {told}" if told else ""),
        style="bold",
    )
    for kind in kinds:
        lines = [
            f"{each.source}/{each.file}:{each.line}  {each.title}"
            for each in found.changes
            if each.kind == kind
        ]
        lines += [
            f"{each.now.id}  {each.now.title}: {each.was.fate} -> {each.now.fate}"
            for each in found.turned
            if each.turn == kind
        ]
        out.print(Text(f"{kind}", style="bold"))
        for line in lines[:SHOWN]:
            out.print(Text(f"  {line}"))
        if len(lines) > SHOWN:
            out.print(f"  and {len(lines) - SHOWN:,} more (--json tells all)", style="dim")


def search_command(words: str, name: str | None, number: int, side: str | None, as_json: bool) -> None:
    from lmcore.corpus.search import search

    if side is not None and side not in SIDES:
        raise SettingsError(f"no side '{side}'.{did_you_mean(side, SIDES)}")
    workspace, out = find_workspace(), console()
    with opened(out, name, is_quiet=as_json) as (found, database):
        hits = search(database, words, most=number, side=side)
        lines = lines_of(workspace, found)
        places = [_place(database, lines, hit) for hit in hits]
    if as_json:
        print_json([
            {"id": hit.id, "title": hit.title, "side": hit.side, "score": hit.score, "place": str(place),
             "snippet": "".join(piece for piece, _ in hit.snippet)}
            for hit, place in zip(hits, places, strict=True)
        ])  # fmt: skip
        return
    for hit, place in zip(hits, places, strict=True):
        out.print(Text.assemble((hit.title or hit.id, "bold"), f"  {hit.side}, {hit.score:.2f}"))
        out.print(Text(str(place), style="dim"))
        pieces = [(piece, "bold yellow") if is_word else piece for piece, is_word in hit.snippet]
        out.print(Text.assemble("  ", *pieces))
        out.print()
    if not hits:
        out.print("no document has any of these words")


def _place(database: duckdb.DuckDBPyConnection, lines: Any, hit: Hit) -> Any:
    query = """
        SELECT (SELECT line FROM documents WHERE id = $id),
            (SELECT min(line) FROM documents WHERE source = $source AND file = $file
                AND line > (SELECT line FROM documents WHERE id = $id))
    """
    found = database.execute(query, {"id": hit.id, "source": hit.source, "file": hit.file}).fetchone()
    assert found
    return lines.find(hit.source, hit.file, found[0], hit.text, hit.offset, found[1])
