"""`lm data trace` and `lm trace`: from a token to its file and line, and from a text to what it copies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from flows.cli.screen import console
from flows.cli.tables import print_json
from lmcore.config import SettingsError
from tasks.engine.workspace import find_workspace
from tasks.words import count

if TYPE_CHECKING:
    from lmcore.batching.copied import Passage
    from lmcore.batching.copying_rate import CopyingRate
    from tasks.tracing import OpenShards, TextTrace

SHOWN = 10
"""Passages."""
LONGEST = 300
"""Characters of a passage; of a longer one, both ends are shown."""


def trace_token_command(token: str, name: str | None, as_json: bool) -> None:
    from tasks.tracing import open_shards, parse, trace_token

    asked = parse(token)
    if name and asked.shards and name != asked.shards:
        raise SettingsError(f"{token} is in '{asked.shards}' and --shards says '{name}'; leave one out")
    opened = open_shards(find_workspace(), asked.shards or name)
    traced = trace_token(opened, asked)
    document = traced.document
    if as_json:
        print_json(
            {"shards": traced.shards, "side": traced.side, "position": traced.position, "token": traced.token,
             "text": traced.spelled, "document": document._asdict(), "place": str(traced.where),
             "file": str(traced.where.path), "line": traced.where.line, "note": traced.where.note}
        )  # fmt: skip
        return
    out = console()
    out.print(Text(str(traced.where), style="bold"))
    out.print(Text(f"document {document.id}  {document.title}"))
    what = "the end-of-text token behind it" if traced.is_end else f"{traced.spelled!r}"
    number = f"number {traced.token_of_document + 1:,} of its {document.num_tokens:,}"
    place = f"{traced.shards}/{traced.side}:{traced.position}"
    out.print(Text(f"token {traced.token} {what}, {number}; {place}"))
    marked = "" if traced.is_end else traced.spelled
    out.print(
        Text.assemble(
            _flat(traced.before),
            ("[", "bold"),
            (_flat(marked), "bold yellow"),
            ("]", "bold"),
            _flat(traced.behind),
        )
    )


def trace_text_command(
    text: str, file: Path | None, model: str | None, name: str | None, as_json: bool
) -> None:
    from tasks.tracing import open_shards, shards_of_model, trace_text

    text = _given(text, file)
    workspace = find_workspace()
    if model and name:
        raise SettingsError("--model names the shards already; leave --shards out")
    opened = open_shards(workspace, shards_of_model(workspace, model) if model else name)
    trace = trace_text(workspace, opened, text)
    if as_json:
        print_json(_document(opened, trace))
        return
    out = console()
    if not model and not name:
        out.print(Text(f"in the train side of data/shards/{opened.name}", style="dim"))
    for passage in trace.copied.passages[:SHOWN]:
        _show(out, opened, passage)
    if len(trace.copied.passages) > SHOWN:
        out.print(f"and {len(trace.copied.passages) - SHOWN} shorter ones (--json tells all)\n", style="dim")
    for number, line in enumerate(verdict(trace)):
        out.print(Text(line, style="" if number else "bold"))


def _given(text: str, file: Path | None) -> str:
    if bool(text) == (file is not None):
        raise SettingsError(
            'write a text: lm trace "SOME TEXT", lm trace - for standard input, or --file FILE'
        )
    if file is None and text != "-":
        return text
    try:
        return (file.read_bytes() if file else sys.stdin.buffer.read()).decode()
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError as error:
        what = str(file or "standard input")
        raise SettingsError(
            f"cannot read {what} as text: byte {error.start:,} is not UTF-8; give a text in UTF-8"
        ) from None


def _show(out: Console, opened: OpenShards, passage: Passage) -> None:
    out.print(Text.assemble(f"{count(passage.num_words, 'word')}, ", (_times(passage.occurrences), "bold")))
    text = _flat(passage.text)
    half = LONGEST // 2
    out.print(Text("  “" + (text if len(text) <= LONGEST else f"{text[:half]} … {text[-half:]}") + "”"))
    for copy in passage.copies:
        out.print(Text(f"  {_where(opened, copy)}  {copy.document.title}", style="dim"))
    out.print()


def _where(opened: OpenShards, copy: Any) -> Any:
    document = copy.document
    tokens = opened.shards.stream("train").tokens(document.first_token, document.num_tokens)
    text = opened.tokenizer.decode(tokens.tolist())
    return opened.where(document, "train", text, copy.offset)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"


def verdict(trace: TextTrace) -> list[str]:
    """What the figures come to, in words."""
    copied, rate = trace.copied, trace.rate
    how_many = f"{copied.num_copied:,} of {count(copied.num_words, 'word')} ({copied.share:.0%})"
    told = f"{how_many} stand word for word in the training text, in runs of 8 words or more"
    return [told, *(_beside(copied.share, rate) if rate else ["there is no held-out text to compare with"])]


def _beside(share: float, rate: CopyingRate) -> list[str]:
    total, as_many = len(rate.shares), rate.at_least(share)
    base = (
        f"held-out text of the same sources: {rate.share:.1%} (in {count(total, 'passage')} of "
        f"{rate.words_each} words from {count(rate.num_documents, 'document')} of the test side)"
    )
    if share == 0:
        return [base, "nothing is copied, which does not say that nothing was learned by heart"]
    if as_many <= total * 0.05:
        judged = "hardly any text that was not copied has so much"
    else:
        judged = "text that was not copied has as much"
    return [base, f"{as_many} of these {total} passages have as much copied: {judged}"]


def _document(opened: OpenShards, trace: TextTrace) -> dict[str, Any]:
    passages = [
        {"words": passage.num_words, "begin": passage.begin, "end": passage.end, "text": passage.text,
         "occurrences": passage.occurrences,
         "copies": [
             each.document._asdict() | {"place": str(_where(opened, each))} for each in passage.copies
         ]}
        for passage in trace.copied.passages
    ]  # fmt: skip
    rate = trace.rate
    return {
        "shards": opened.name, "words": trace.copied.num_words, "copied": trace.copied.num_copied,
        "share": trace.copied.share, "passages": passages,
        "held_out": rate and {
            "share": rate.share, "passages": len(rate.shares), "documents": rate.num_documents,
            "words_each": rate.words_each, "as_much": rate.at_least(trace.copied.share),
        },
    }  # fmt: skip


def _flat(text: str) -> str:
    """On one line."""
    return text.replace("\n", "⏎ ")
