"""Write text in one way, so that equal texts are equal bytes, without touching what it says."""

from __future__ import annotations

import re
import unicodedata

from lmcore.corpus.settings import NormalizeConfig

LINE_BREAK = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
OTHER_SPACE = re.compile("[\t\x1f\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
SPACES = re.compile("  +")
# Controls, soft hyphens, zero-width spaces, byte-order marks; not joiners, which spell words in some scripts.
INVISIBLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b\u2060\ufeff]")
INDENT = re.compile("[ \t]*")


def normalize_text(text: str, config: NormalizeConfig) -> str:
    """The text in one Unicode form, with plain line ends and single spaces, and no blank space around it.

    Applied twice it changes nothing more.
    """
    text = INVISIBLE.sub("", LINE_BREAK.sub("\n", text))
    if not text.isascii():
        text = unicodedata.normalize(config.unicode_form, text)
    if config.keep_indentation:
        lines = "\n".join(map(_squeeze_but_indent, text.split("\n")))
    else:
        lines = _squeeze(text).replace(" \n", "\n").replace("\n ", "\n")
    most = config.max_blank_lines + 1
    lines = re.sub(f"\n{{{most},}}", "\n" * most, lines)
    return lines.strip("\n")


def _squeeze(text: str) -> str:
    """Single spaces, none around it."""
    return SPACES.sub(" ", OTHER_SPACE.sub(" ", text)).strip(" ")


def _squeeze_but_indent(line: str) -> str:
    indent = INDENT.match(line)
    assert indent
    rest = _squeeze(line[indent.end() :])
    return indent[0] + rest if rest else ""
