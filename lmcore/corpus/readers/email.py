"""E-mail: a message a document, from files of one message (.eml) or of many (mbox)."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from lmcore.corpus.inputs import InputFile, excerpt_of
from lmcore.corpus.readers import Draft, long_draft, readers

BEGIN = b"From "


@readers.register
def email(file: InputFile) -> Iterator[Draft]:
    """One document for each message: its subject is the title, its body the text; attachments are left out.

    Of a message in several forms the plain one is taken, else the words of the HTML one. Quoted replies stay.
    A file is an mbox if it begins with `From `; `line` is where the message begins.

    Raises:
        UnreadableFileError: the file is empty, or is damaged.
    """
    for line, offset, size, raw in _messages(file):
        if size > file.longest:
            yield long_draft(file, line, offset, raw)
            continue
        message = message_from_bytes(raw, policy=default)
        assert isinstance(message, EmailMessage)
        try:
            title, text = _plain(str(message["subject"] or "")), _plain(_body(message))
        except (LookupError, ValueError, AttributeError, TypeError, KeyError) as error:
            problem = f"a message that cannot be read ({type(error).__name__})"
            yield Draft(line, "", excerpt_of(raw), problem, "unreadable_record", offset)
            continue
        if not message.keys():
            yield Draft(line, "", excerpt_of(raw), "no header of a message", "unreadable_record", offset)
        else:
            yield Draft(line, " ".join(title.split()), text.strip())


def _messages(file: InputFile) -> Iterator[tuple[int, int, int, bytes]]:
    """First line, offset, size and bytes of each message; of one that is too long, its beginning."""
    is_mbox, begun, kept, size = False, (1, 0), bytearray(), 0
    is_behind_blank = True
    for number, offset, line in file.lines():
        is_mbox = is_mbox or (offset == 0 and line.startswith(BEGIN))
        if is_mbox and is_behind_blank and line.startswith(BEGIN):
            if number > 1:
                yield *begun, size, bytes(kept)
            begun, kept, size = (number, offset), bytearray(), 0
        else:
            size += len(line)
            if size <= file.longest:
                # Lines of a body that begin with `From ` were marked when the mbox was written.
                is_marked = is_mbox and line.startswith(b">") and line.lstrip(b">").startswith(BEGIN)
                kept += line[1:] if is_marked else line
        is_behind_blank = not line.strip()
    yield *begun, size, bytes(kept)


def _body(message: EmailMessage) -> str:
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    try:
        content = part.get_content()
    except LookupError:  # an encoding that nobody knows
        content = bytes(part.get_payload(decode=True)).decode("utf-8", "replace")
    if part.get_content_subtype() == "html":
        from resiliparse.extract.html2text import extract_plain_text

        return str(extract_plain_text(content))
    return str(content)


def _plain(value: str) -> str:
    """With the replacement character for bytes of no known encoding."""
    return value.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n")
