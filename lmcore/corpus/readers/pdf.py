"""PDF: the text layer of all pages as one document, or one document a page."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from io import BytesIO

from lmcore.corpus.extras import needs_extra
from lmcore.corpus.inputs import InputFile, UnreadableFileError
from lmcore.corpus.readers import Draft, readers
from lmcore.corpus.unpacking import stem_of


@readers.register
def pdf(file: InputFile, *, is_by_page: bool = False) -> Iterator[Draft]:
    """One document a file (or a page), called as the file's own title says; `line` is the page.

    Scanned pages have no text layer: what comes of them is empty, and rejected as such.

    Raises:
        UnreadableFileError: not a PDF, a damaged one, or one that asks for a password.
        SettingsError: the extra `documents` is not installed.
    """
    with needs_extra("pdf"):
        import pypdf
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns of each oddity that it works around
    data = file.read()
    try:
        document = pypdf.PdfReader(BytesIO(data))
        if document.is_encrypted and not document.decrypt(""):
            raise UnreadableFileError(file.path, "the PDF asks for a password; save it without one")
        title = str((document.metadata and document.metadata.title) or "").strip() or stem_of(file.path)
        pages = [page.extract_text().encode("utf-8", "replace").decode().strip() for page in document.pages]
    except UnreadableFileError:
        raise
    except Exception as error:  # a damaged PDF breaks its parser in many ways
        reason = f"not a PDF that can be read ({type(error).__name__}); save it anew, or leave it out"
        raise UnreadableFileError(file.path, reason) from None
    if is_by_page:
        yield from (Draft(number, title, page) for number, page in enumerate(pages, start=1))
    else:
        yield Draft(1, title, "\n\n".join(filter(None, pages)))
