"""`lm data ...`: looking into a corpus. Heavy imports wait inside the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

data_app = typer.Typer(
    name="data",
    help="Look into a corpus: numbers, documents and why they are in or out, duplicates, search, SQL.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

CorpusName = Annotated[
    str | None,
    typer.Option("--corpus", metavar="NAME", help="Else the one made last.", show_default=False),
]
ShardsName = Annotated[
    str | None,
    typer.Option("--shards", metavar="NAME", help="Else those made last.", show_default=False),
]
Document = Annotated[
    str,
    typer.Argument(
        help="A document's id, the beginning or a part of it, digits of its digest, or its title."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Everything, for programs.")]
ClassifyBy = Literal["source", "file"]
Features = Literal["binary", "counts", "bigrams"]
AlarmShare = Annotated[
    float, typer.Option(min=0, max=1, help="A source that loses more than this share raises an alarm.")
]


@data_app.command()
def stats(corpus: CorpusName = None, alarm_share: AlarmShare = 0.5, as_json: AsJson = False) -> None:
    """Count documents, words and characters by source and side; rejections by rule, lengths, languages."""
    from flows.cli.corpora import stats_command

    stats_command(corpus, alarm_share, as_json)


@data_app.command()
def sample(
    corpus: CorpusName = None,
    number: Annotated[int, typer.Option("-n", min=1, help="How many.")] = 5,
    rejected: Annotated[
        str | None,
        typer.Option(
            "--rejected", metavar="RULE", help="Only what this rule or stage rejected.", show_default=False
        ),
    ] = None,
    source: Annotated[str | None, typer.Option(help="Only from this source.", show_default=False)] = None,
    side: Annotated[
        str | None, typer.Option(help="train, validation, test or rejected.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another sample.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show some documents; the same seed always shows the same."""
    from flows.cli.corpora import sample_command

    sample_command(corpus, number, rejected, source, side, seed, as_json)


@data_app.command()
def sql(
    query: Annotated[str, typer.Argument(help="A query over the views; FROM documents LIMIT 5, say.")],
    corpus: CorpusName = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask in SQL: documents, texts, rejected, signals, decisions, edits, duplicates, files, shards, ..."""
    from flows.cli.corpora import sql_command

    sql_command(query, corpus, as_csv, as_json)


@data_app.command("try")
def try_limits(
    limits: Annotated[
        list[str], typer.Argument(help="Limits to try, such as length.min_words=80; null: none.")
    ],
    corpus: CorpusName = None,
    as_json: AsJson = False,
) -> None:
    """Say which documents other limits of the filters would reject; no text is read, nothing is changed."""
    from flows.cli.corpora import try_command

    try_command(limits, corpus, as_json)


@data_app.command()
def why(document: Document, corpus: CorpusName = None, as_json: AsJson = False) -> None:
    """Tell the whole life of a document: file and line, edits, measurements, decisions, duplicates, side."""
    from flows.cli.documents import why_command

    why_command(document, corpus, as_json)


@data_app.command()
def duplicates(document: Document, corpus: CorpusName = None) -> None:
    """Show which documents are like this one, how much, which of them stayed, and what differs."""
    from flows.cli.documents import duplicates_command

    duplicates_command(document, corpus)


@data_app.command()
def diff(
    was: Annotated[
        str,
        typer.Argument(
            help="A corpus by name, digits of a version's digest or key, or a model such as demo@v3."
        ),
    ],
    now: Annotated[
        str | None,
        typer.Argument(
            help="Another one; else the first is compared with its version before.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which documents are new, changed, gone, on another side or decided otherwise in another corpus."""
    from flows.cli.documents import diff_command

    diff_command(was, now, as_json)


@data_app.command()
def search(
    words: Annotated[list[str], typer.Argument(help="What to look for.")],
    corpus: CorpusName = None,
    number: Annotated[int, typer.Option("-n", min=1, help="How many documents to show.")] = 10,
    side: Annotated[
        str | None, typer.Option(help="train, validation, test or rejected.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the documents that words describe best (BM25)."""
    from flows.cli.documents import search_command

    search_command(" ".join(words), corpus, number, side, as_json)


@data_app.command("trace")
def trace_token(
    token: Annotated[
        str, typer.Argument(metavar="SHARD:POSITION", help="Such as train:1234 or train-00000.bin:1234.")
    ],
    shards: ShardsName = None,
    as_json: AsJson = False,
) -> None:
    """Go from a training token back to its document, file and line."""
    from flows.cli.tracing import trace_token_command

    trace_token_command(token, shards, as_json)


@data_app.command()
def report(
    corpus: CorpusName = None,
    is_opened: Annotated[bool, typer.Option("--open", help="In your browser.")] = False,
) -> None:
    """Say where a corpus's report lies: lengths, languages, what each step removed, with examples."""
    from flows.cli.corpora import report_command

    report_command(corpus, is_opened)


@data_app.command()
def classify(
    by: Annotated[ClassifyBy, typer.Option(help="What is to be told from the words.")] = "source",
    features: Annotated[
        Features,
        typer.Option(help="Whether a word is there, how often, or that of pairs of neighbours as well."),
    ] = "binary",
    min_documents: Annotated[int, typer.Option(min=1, help="Leave out what is in fewer texts.")] = 2,
    max_features: Annotated[int, typer.Option(min=1, help="Only so many, the most frequent.")] = 20_000,
    corpus: CorpusName = None,
    as_json: AsJson = False,
) -> None:
    """Tell from its words alone which source a text is from: a bag of words with logistic regression."""
    from flows.cli.analysis import classify_command

    classify_command(corpus, by, features, min_documents, max_features, as_json)


@data_app.command()
def like(
    word: Annotated[str | None, typer.Argument(help="A word.", show_default=False)] = None,
    document: Annotated[
        str | None,
        typer.Option("--document", metavar="DOCUMENT", help="Its id or title.", show_default=False),
    ] = None,
    corpus: CorpusName = None,
    number: Annotated[int, typer.Option("-n", min=1, help="How many.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show the words or documents whose vectors are nearest; `lm embed_words` makes the vectors."""
    from flows.cli.analysis import like_command

    like_command(word, document, corpus, number, as_json)


def trace(
    text: Annotated[str, typer.Argument(help="The text; - reads it from standard input.")] = "",
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Read it from there.", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="In what this model learned from.", show_default=False),
    ] = None,
    shards: ShardsName = None,
    as_json: AsJson = False,
) -> None:
    """Find the training passages that a text copies word for word, with file and line."""
    from flows.cli.tracing import trace_text_command

    trace_text_command(text, file, model, shards, as_json)
