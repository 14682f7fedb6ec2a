"""Web pages: the main content of each as plain text, without menus, side bars and footers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from lmcore.corpus.encodings import decode
from lmcore.corpus.inputs import InputFile, bad_byte
from lmcore.corpus.readers import Draft, readers
from lmcore.corpus.unpacking import stem_of

_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?\s*([\w-]+)""", re.IGNORECASE)
LOOKED_AT = 4_096
"""Bytes among which a page has to say its encoding."""


@readers.register
def html(
    file: InputFile, *, is_main_content: bool = True, encoding: Literal["utf-8", "auto"] = "auto"
) -> Iterator[Draft]:
    """One document a page, called as its `<title>` says.

    A page of which no part stands out as its main content is taken as a whole, and so are all with
    `is_main_content: false`. Bytes that are not UTF-8 are read as the page declares.

    Raises:
        UnreadableFileError: the bytes are not text.
    """
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    page = _decoded(file, file.read(), encoding)
    tree = HTMLTree.parse(page)
    content = extract_plain_text(tree, main_content=True) if is_main_content else ""
    content = content if content.strip() else extract_plain_text(tree)
    yield Draft(1, " ".join((tree.title or "").split()) or stem_of(file.path), content.strip())


def _decoded(file: InputFile, data: bytes, encoding: str) -> str:
    declared = _CHARSET.search(data[:LOOKED_AT])
    if encoding == "auto" and declared and bad_byte(data) is not None:
        try:
            return data.decode(declared[1].decode("ascii"))
        except (LookupError, UnicodeDecodeError):
            pass
    return decode(file, data, encoding)
