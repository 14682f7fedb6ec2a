"""Word documents (.docx): paragraphs and tables in their order, one document a file."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from lmcore.corpus.extras import needs_extra
from lmcore.corpus.inputs import InputFile, UnreadableFileError
from lmcore.corpus.readers import Draft, readers
from lmcore.corpus.unpacking import stem_of

if TYPE_CHECKING:
    from docx.document import Document
    from docx.table import Table


@readers.register
def docx(file: InputFile) -> Iterator[Draft]:
    """One document a file, called as its properties or its first heading say.

    Raises:
        UnreadableFileError: not a Word document, or a damaged one.
        SettingsError: the extra `documents` is not installed.
    """
    with needs_extra("docx"):
        import docx as word
    data = file.read()
    try:
        document = word.Document(BytesIO(data))
        blocks = [block for block in _blocks(document) if block]
        title = document.core_properties.title.strip() or _heading(document) or stem_of(file.path)
    except Exception as error:  # a damaged archive or XML breaks its parsers in many ways
        reason = (
            f"not a Word document that can be read ({type(error).__name__}); save it anew, or leave it out"
        )
        raise UnreadableFileError(file.path, reason) from None
    yield Draft(1, title, "\n\n".join(blocks))


def _blocks(document: Document) -> Iterator[str]:
    from docx.text.paragraph import Paragraph

    for block in document.iter_inner_content():
        yield block.text.strip() if isinstance(block, Paragraph) else _rows(block)


def _rows(table: Table) -> str:
    """A line a row; a cell that spans several columns stands once."""
    lines = []
    for row in table.rows:
        cells = dict.fromkeys((cell._tc, cell.text.strip()) for cell in row.cells)
        lines.append(" | ".join(text for _, text in cells))
    return "\n".join(lines)


def _heading(document: Document) -> str:
    headings = (each.text.strip() for each in document.paragraphs if _is_heading(each.style))
    return next(filter(None, headings), "")


def _is_heading(style: object) -> bool:
    return str(getattr(style, "name", "")).startswith(("Heading", "Title"))
