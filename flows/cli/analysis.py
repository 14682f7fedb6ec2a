"""`lm data classify` and `lm data like`: what the words of a corpus tell."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from flows.cli.corpora import opened
from flows.cli.screen import console
from flows.cli.tables import cells, print_json, table
from lmcore.config import SettingsError
from tasks.catalogue import find_corpus, find_embeddings
from tasks.engine.workspace import find_workspace
from tasks.words import count

if TYPE_CHECKING:
    import duckdb

    from lmcore.corpus.analysis.classify import Classification
    from lmcore.corpus.analysis.embeddings import Embeddings

SHOWN = 12
"""Classes with their words, and kinds of mistakes, that are shown in a terminal."""


def classify_command(
    name: str | None, by: Any, features: Any, min_documents: int, max_features: int, as_json: bool
) -> None:
    from lmcore.corpus.analysis.classify import classify_documents

    out, found = console(), find_corpus(find_workspace(), name)
    if not (as_json or name or found.is_only):
        out.print(Text(f"corpus {found.name}, made last (another one: --corpus NAME)", style="dim"))
    result = classify_documents(
        found.products.corpus, by, features, min_documents=min_documents, max_features=max_features
    )
    if as_json:
        words = {label: [each._asdict() for each in words] for label, words in result.telling_words.items()}
        print_json({"corpus": found.name, "by": by, "features": features, **asdict(result)}
                   | {"telling_words": words})  # fmt: skip
        return
    out.print(
        f"{by} of {count(result.num_test, 'document')} of the test side, by {result.num_features:,} features "
        f"({features}) learned from {count(result.num_train, 'document')} of the train side"
    )
    _show_scores(out, result)
    _show_mistakes(out, result)
    _show_words(out, result)


def _show_scores(out: Console, result: Classification) -> None:
    shown = table("", "accuracy", "95 % interval", "macro F1", numbers=("accuracy", "macro F1"))
    interval = f"{result.low:.1%} to {result.high:.1%}"
    shown.add_row(*cells("bag of words", f"{result.accuracy:.1%}", interval, f"{result.macro_f1:.3f}"))
    always = f"always {result.majority}"
    shown.add_row(
        *cells(always, f"{result.majority_accuracy:.1%}", "", f"{result.majority_macro_f1:.3f}"), style="dim"
    )
    out.print(shown)


def _show_mistakes(out: Console, result: Classification) -> None:
    pairs = [
        (wrong, true, taken)
        for true, row in zip(result.classes, result.confusion, strict=True)
        for taken, wrong in zip(result.classes, row, strict=True)
        if wrong and taken != true
    ]
    if not pairs:
        return
    shown = table("is", "was taken for", "documents", numbers=("documents",))
    for wrong, true, taken in sorted(pairs, key=lambda pair: (-pair[0], *pair[1:]))[:SHOWN]:
        shown.add_row(*cells(true, taken, wrong))
    out.print()
    out.print(shown)
    if len(pairs) > SHOWN:
        out.print(f"and {len(pairs) - SHOWN:,} more kinds of mistakes (--json tells all)", style="dim")


def _show_words(out: Console, result: Classification) -> None:
    out.print()
    shown = table("class", "words that speak for it, the strongest first")
    for label, words in list(result.telling_words.items())[:SHOWN]:
        shown.add_row(*cells(label, ", ".join(each.word for each in words)))
    out.print(shown)
    if len(result.telling_words) > SHOWN:
        more = len(result.telling_words) - SHOWN
        out.print(f"and of {more:,} more (--json tells all)", style="dim")


def like_command(
    word: str | None, document: str | None, name: str | None, number: int, as_json: bool
) -> None:
    if (word is None) == (document is None):
        raise SettingsError("say what is to be alike: a word, or --document DOCUMENT")
    out, workspace = console(), find_workspace()
    with opened(out, name, is_quiet=as_json) as (found, database):
        folder = find_embeddings(workspace, found)
        rows = (
            _like_word(folder, word, number) if word else _like_document(folder, database, document, number)
        )
    if as_json:
        print_json(rows)
        return
    titles = list(rows[0]) if rows else []
    shown = table(*titles, numbers=("cosine", "count"))
    for row in rows:
        shown.add_row(*cells(*({**row, "cosine": f"{row['cosine']:.3f}"}.values())))
    out.print(shown if rows else "nothing else has a vector")


def _like_word(folder: Path, word: str, number: int) -> list[dict[str, Any]]:
    found = _open(folder)
    from lmcore.corpus.analysis.nearest import nearest

    own = word.lower()
    near = nearest(found.vectors, found.of_words([own]), number + 1)
    return [
        {"cosine": float(cosine), "word": found.words[row], "count": found.counts[row]}
        for row, cosine in zip(near.rows[0], near.cosines[0], strict=True)
        if found.words[row] != own
    ][:number]


def _like_document(
    folder: Path, database: duckdb.DuckDBPyConnection, called: str | None, number: int
) -> list[dict[str, Any]]:
    from lmcore.corpus.analysis.nearest import nearest
    from lmcore.corpus.biography import find_document
    from lmcore.corpus.catalogue import rows

    found, id = _open(folder), find_document(database, called or "")
    near = nearest(found.document_vectors, found.of_document(id)[None], number + 1)
    ids = [found.documents[row] for row in near.rows[0]]
    query = "SELECT id, side, title FROM documents WHERE list_contains(?, id)"
    told = {row["id"]: row for row in rows(database, query, [ids])}
    return [
        {"cosine": float(cosine), **told[each]}
        for each, cosine in zip(ids, near.cosines[0], strict=True)
        if each != id
    ][:number]


def _open(folder: Path) -> Embeddings:
    from lmcore.corpus.analysis.embeddings import Embeddings

    return Embeddings(folder)
