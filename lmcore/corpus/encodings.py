"""Bytes become text: UTF-8, or another encoding guessed from the bytes where a source allows it."""

from __future__ import annotations

from lmcore.corpus.inputs import InputFile, UnreadableFileError, bad_byte, excerpt_of

LOOKED_AT = 1 << 18
"""Bytes from which an encoding is guessed: enough for its letters to show."""


def decode(file: InputFile, data: bytes, encoding: str) -> str:
    """A whole file as text, without a byte order mark.

    Args:
        encoding: `utf-8`, or `auto` to guess one where the bytes are not UTF-8.

    Raises:
        UnreadableFileError: the bytes are not text, with the first bad one and its offset.
    """
    offset = bad_byte(data)
    if offset is None:
        return data.decode("utf-8").removeprefix("\ufeff")
    guessed = _guess(data[:LOOKED_AT]) if encoding == "auto" else None
    if guessed:
        try:
            content = data.decode(guessed).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            offset = error.start
        else:
            if "\0" not in content:
                return content
    what = f"byte {data[offset]:#04x} at offset {offset} is not"
    if encoding == "auto":
        reason = f"{what} text of a known encoding; leave the file out of the source's files"
    else:
        reason = (
            f"{what} UTF-8 text; convert the file to UTF-8, set `encoding: auto` in the reader, or leave it "
            "out of the source's files"
        )
    raise UnreadableFileError(file.path, reason, "not_utf8", offset, excerpt_of(data))


def encoding_of(file: InputFile, encoding: str) -> str:
    """The codec for a file that is read line by line, judged by its beginning."""
    if encoding != "auto":
        return "utf-8"
    with file.open() as stream:
        start = stream.read(LOOKED_AT)
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:  # else a letter was cut through
            return _guess(start) or "utf-8"
    return "utf-8"


def _guess(data: bytes) -> str | None:
    import charset_normalizer

    best = charset_normalizer.from_bytes(data).best()
    return best.encoding if best else None
