"""Markdown: one document a file, its title from the front matter or the first heading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import yaml

from lmcore.corpus.encodings import decode
from lmcore.corpus.inputs import InputFile
from lmcore.corpus.readers import Draft, readers
from lmcore.corpus.unpacking import stem_of

if TYPE_CHECKING:
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)


@readers.register
def markdown(
    file: InputFile, *, is_plain: bool = False, encoding: Literal["utf-8", "auto"] = "utf-8"
) -> Iterator[Draft]:
    """One document a file, without its front matter.

    Args:
        is_plain: leave the marks out (headings, emphasis, links, tables), and keep the words.

    Raises:
        UnreadableFileError: the bytes are not text.
    """
    content = decode(file, file.read(), encoding).replace("\r\n", "\n").replace("\r", "\n")
    front = _FRONT_MATTER.match(content)
    body = content[front.end() :] if front else content
    heading = _HEADING.search(body)
    title = _title(front[1]) if front else ""
    title = title or (heading[1] if heading else "") or stem_of(file.path)
    line = content.count("\n", 0, len(content) - len(body.lstrip())) + 1
    yield Draft(line if body.strip() else 1, title, _plain(body) if is_plain else body.strip("\n"))


def _title(front_matter: str) -> str:
    """The title that a front matter gives; a broken one gives none."""
    try:
        given = yaml.safe_load(front_matter)
    except (yaml.YAMLError, ValueError):  # ValueError: a date that there is not
        return ""
    title: Any = given.get("title") if isinstance(given, dict) else None
    return str(title).strip() if title is not None else ""


def _plain(body: str) -> str:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    return "\n\n".join(block for block in _blocks(parser.parse(body)) if block)


def _blocks(tokens: list[Token]) -> Iterator[str]:
    """The words of each block; a row of a table is one, and a list item keeps its paragraphs."""
    row: list[str] | None = None
    for token in tokens:
        if token.type == "tr_open":
            row = []
        elif token.type == "tr_close" and row is not None:
            yield " | ".join(row)
            row = None
        elif token.type == "inline":
            words = "".join(map(_words, token.children or [])).strip()
            if row is None:
                yield words
            else:
                row.append(words)
        elif token.type in ("fence", "code_block"):
            yield token.content.rstrip("\n")


def _words(token: Token) -> str:
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    return "" if token.type == "html_inline" else token.content
