"""Plain text, one document a file or one a heading; `.gz` is unpacked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lmcore.corpus.readers import Draft, UnreadableFileError, bad_byte, read_bytes, readers


@readers.register
def text(file: Path, *, heading: str | None = None, is_wrapped: bool = False) -> Iterator[Draft]:
    """One document a file, or one for each line that the `heading` pattern matches as a whole.

    Text in front of the first heading is a document of its own, called as the file is. Where lines were
    broken to fit a page (`is_wrapped`), the lines of a paragraph become one; indented lines (verse, letter
    heads, signatures) stay lines.

    Raises:
        UnreadableFileError: the bytes are not UTF-8 text, or no line is a heading.
    """
    lines = _decode(file).split("\n")
    starts = [0]
    if heading is not None:
        is_heading = re.compile(heading).fullmatch
        found = [number for number, line in enumerate(lines) if is_heading(line.strip())]
        if not found:
            raise UnreadableFileError(
                f"{file}: no line is a heading like {heading!r}; mend the reader's heading"
            )
        starts = found if not any(line.strip() for line in lines[: found[0]]) else [0, *found]
    stem = file.name.removesuffix(".gz").rpartition(".")[0] or file.name
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        start += next((skipped for skipped, line in enumerate(lines[start:end]) if line.strip()), 0)
        is_headed = heading is not None and is_heading(lines[start].strip())
        body = _unwrap(lines[start:end]) if is_wrapped else lines[start:end]
        yield Draft(start + 1, lines[start].strip() if is_headed else stem, "\n".join(body).strip("\n"))


def _decode(file: Path) -> str:
    data = read_bytes(file)
    if not data:
        raise UnreadableFileError(
            f"{file}: the file is empty; fill it, or leave it out of the source's files"
        )
    offset = bad_byte(data)
    if offset is not None:
        raise UnreadableFileError(
            f"{file}: byte {data[offset]:#04x} at offset {offset} is not UTF-8 text; "
            "convert the file to UTF-8, or leave it out of the source's files"
        )
    return data.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


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
