"""Plain text, one document a file or one a heading."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lmcore.corpus.encodings import decode, encoding_of
from lmcore.corpus.inputs import InputFile, UnreadableFileError, excerpt_of
from lmcore.corpus.ranges import cut_after, measured
from lmcore.corpus.readers import Cuts, Draft, cutters, long_draft, readers
from lmcore.corpus.unpacking import stem_of

_BLANK_START = re.compile(r"(?:[^\S\n]*\n)*")
_LINE_END = re.compile(r"\r\n|\r|\n")
Encoding = Literal["utf-8", "auto"]


@readers.register
def text(
    file: InputFile, *, heading: str | None = None, is_wrapped: bool = False, encoding: Encoding = "utf-8"
) -> Iterator[Draft]:
    """One document a file, or one for each line that the `heading` pattern matches as a whole.

    Text in front of the first heading is a document of its own, called as the file is. Where lines were
    broken to fit a page (`is_wrapped`), the lines of a paragraph become one; indented lines (verse, letter
    heads, signatures) stay lines. With `encoding: auto`, what is not UTF-8 is guessed from the bytes.

    Raises:
        UnreadableFileError: the bytes are not text, or no line is a heading.
    """
    if heading is not None:
        yield from _by_heading(file, re.compile(heading).fullmatch, heading, is_wrapped, encoding)
        return
    content = decode(file, file.read(), encoding).replace("\r\n", "\n").replace("\r", "\n")
    start = _BLANK_START.match(content)
    assert start
    line = content.count("\n", 0, start.end()) + 1
    body = content[start.end() :]
    body = "\n".join(_unwrap(body.split("\n"))) if is_wrapped else body
    yield Draft(line if body.strip() else 1, stem_of(file.path), body.strip("\n"))


@cutters.register("text")
def cut(
    file: Path, size: int, heading: str | None = None, encoding: str = "utf-8", **_: object
) -> Cuts | None:
    """In front of headings; a file without any is one document."""
    if heading is None or encoding != "utf-8":
        return None
    is_heading = re.compile(heading).fullmatch
    starts = cut_after(file, size, lambda line: bool(is_heading(line.decode("utf-8", "replace").strip())))
    return measured(file, starts, None)


@dataclass
class _Section:
    """The lines from one heading to the next."""

    line: int
    offset: int
    is_headed: bool = False
    lines: list[str] = field(default_factory=list)
    size: int = 0
    problem: str = ""
    trouble_at: int = 0

    def add(self, line: str, longest: int) -> None:
        self.size += len(line) + 1
        if self.size <= longest:
            self.lines.append(line)

    def draft(self, file: InputFile, is_wrapped: bool) -> Draft:
        blank = next((number for number, line in enumerate(self.lines) if line.strip()), 0)
        title = self.lines[blank].strip() if self.is_headed else stem_of(file.path)
        line = self.line + blank
        if self.size > file.longest:
            return long_draft(file, line, self.offset, "\n".join(self.lines[:100]))._replace(title=title)
        body = self.lines[blank:]
        content = "\n".join(_unwrap(body) if is_wrapped else body).strip("\n")
        if self.problem:
            return Draft(line, title, excerpt_of(content), self.problem, "not_utf8", self.trouble_at)
        return Draft(line, title, content)


def _by_heading(
    file: InputFile, is_heading: Callable[[str], object], heading: str, is_wrapped: bool, encoding: Encoding
) -> Iterator[Draft]:
    section, number, found = _Section(1, file.start), 0, False
    codec = encoding_of(file, encoding)
    for _, offset, raw in file.lines():
        line, problem, at = _decoded(raw, offset, codec)
        for part in _LINE_END.split(line.removesuffix("\n").removesuffix("\r")):
            number += 1
            if is_heading(part.strip()):
                if found or any(each.strip() for each in section.lines):
                    yield section.draft(file, is_wrapped)
                section, found = _Section(number, offset, is_headed=True), True
            section.add(part, file.longest)
        if problem and not section.problem:
            section.problem, section.trouble_at = problem, at
        if len(raw) > file.longest:
            section.size = len(raw)
    if not found and not file.is_cut:
        reason = f"no line is a heading like {heading!r}; mend the reader's heading"
        raise UnreadableFileError(
            file.path, reason, "no_heading", 0, excerpt_of("\n".join(section.lines[:100]))
        )
    yield section.draft(file, is_wrapped)


def _decoded(raw: bytes, offset: int, codec: str) -> tuple[str, str, int]:
    """A line as text, what is wrong with it, and at which byte."""
    if offset == 0:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        line, at = raw.decode(codec), raw.find(b"\0")
    except UnicodeDecodeError as error:
        line, at = raw.decode(codec, "replace"), error.start
    if at < 0:
        return line, "", 0
    return line, f"byte {raw[at]:#04x} at offset {offset + at} is not UTF-8 text", offset + at


def _unwrap(lines: list[str]) -> list[str]:
    """Join the lines of each paragraph; a blank or an indented line never joins."""
    joined: list[str] = []
    is_open = False  # whether the next line may be a continuation of the last
    for line in lines:
        is_prose = bool(line.strip()) and not line[0].isspace()
        if is_prose and is_open:
            # Typesetters break a line after a dash or a hyphen without a space of its own.
            glue = "" if joined[-1].endswith("-") or line.startswith("--") else " "
            joined[-1] = joined[-1] + glue + line.rstrip()
        else:
            joined.append(line.rstrip())
        is_open = is_prose
    return joined
