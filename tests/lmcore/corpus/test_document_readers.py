"""Web pages, Markdown, PDF, Word documents and e-mail, made by the libraries that people make them with."""

from __future__ import annotations

import mailbox
import sys
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from lmcore.config import SettingsError
from lmcore.corpus.inputs import InputFile, UnreadableFileError
from lmcore.corpus.readers import Draft, readers

PARAGRAPHS = [
    f"Paragraph {number} tells at some length of the things that happened in the village that year, "
    "of the harvest, the weather, and of the people who left for the town and did not come back."
    for number in range(6)
]


def drafts_of(file: Path, reader: str, **dials: Any) -> list[Draft]:
    return list(readers[reader](InputFile(file), **dials))


# HTML


def page(body: str, head: str = "") -> str:
    menu = "".join(f'<li><a href="/{n}">Section {n}</a></li>' for n in range(30))
    return (
        f"<html><head><title>Our  village &amp; its year</title>{head}<script>var hidden = 1</script></head>"
        f"<body><nav><ul>{menu}</ul></nav>{body}<footer>Cookies and imprint</footer></body></html>"
    )


def test_a_page_gives_its_main_content_and_its_title(tmp_path: Path):
    article = "<article><h1>The year</h1>" + "".join(f"<p>{each}</p>" for each in PARAGRAPHS) + "</article>"
    (tmp_path / "page.html").write_text(page(article))
    (draft,) = drafts_of(tmp_path / "page.html", "html")
    assert draft.title == "Our village & its year"
    assert draft.text.split("\n\n") == ["The year", *PARAGRAPHS]
    (whole,) = drafts_of(tmp_path / "page.html", "html", is_main_content=False)
    assert "Section 7" in whole.text
    assert "hidden" not in whole.text


def test_a_page_in_another_encoding_is_read_as_it_declares(tmp_path: Path):
    article = f"<article><p>Élèves fatigués. {PARAGRAPHS[0]}</p></article>"
    content = page(article, '<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1">')
    (tmp_path / "page.html").write_bytes(content.encode("latin-1"))
    (draft,) = drafts_of(tmp_path / "page.html", "html")
    assert "Élèves fatigués" in draft.text
    with pytest.raises(UnreadableFileError, match="is not UTF-8 text"):
        drafts_of(tmp_path / "page.html", "html", encoding="utf-8")


# Markdown


NOTES = """\
---
title: Notes on the *year*
tags: [a, b]
---

# Heading one

Some **strong** words and [a link](https://example.org),
over two lines.

- one
- two

| a | b |
|---|---|
| 1 | 2 |

```python
x = "*kept*"
```
"""


def test_markdown_keeps_its_marks_or_gives_the_words_alone(tmp_path: Path):
    (tmp_path / "notes.md").write_text(NOTES)
    (draft,) = drafts_of(tmp_path / "notes.md", "markdown")
    assert (draft.line, draft.title) == (6, "Notes on the *year*")
    assert draft.text == NOTES.split("---\n", 2)[2].strip("\n")
    (plain,) = drafts_of(tmp_path / "notes.md", "markdown", is_plain=True)
    assert plain.text.split("\n\n") == [
        "Heading one", "Some strong words and a link,\nover two lines.", "one", "two", "a | b", "1 | 2",
        'x = "*kept*"',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("# One #\ntext", "One"),
        ("text", "notes"),
        ("---\n: : [\n---\n## Two\n", "Two"),
        ("---\nrule", "notes"),
    ],
)
def test_markdown_without_front_matter_is_called_by_its_heading_or_file(
    tmp_path: Path, content: str, title: str
):
    (tmp_path / "notes.md").write_text(content)
    (draft,) = drafts_of(tmp_path / "notes.md", "markdown")
    assert draft.title == title


# PDF and Word


def made_pdf(pages: list[str], title: str, **more: Any) -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    stream = BytesIO()
    canvas = Canvas(stream, invariant=True, **more)
    canvas.setTitle(title)
    for each in pages:
        for number, line in enumerate(each.split("\n")):
            canvas.drawString(72, 720 - 20 * number, line)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def test_a_pdf_gives_the_words_of_its_pages(tmp_path: Path):
    file = tmp_path / "book.pdf"
    file.write_bytes(made_pdf(["First page\nwith two lines", "Second page"], "The book"))
    assert drafts_of(file, "pdf") == [Draft(1, "The book", "First page\nwith two lines\n\nSecond page")]
    assert [(each.line, each.text) for each in drafts_of(file, "pdf", is_by_page=True)][1] == (
        2, "Second page"
    )  # fmt: skip


def test_a_damaged_or_locked_pdf_is_one_line(tmp_path: Path):
    whole = made_pdf(["Some words"], "T")
    for content in (b"no PDF", whole[:200], whole[:-200].replace(b"obj", b"xxx")):
        (tmp_path / "book.pdf").write_bytes(content)
        with pytest.raises(UnreadableFileError, match=r"^[^\n]*not a PDF that can be read[^\n]*$"):
            drafts_of(tmp_path / "book.pdf", "pdf")
    (tmp_path / "book.pdf").write_bytes(made_pdf(["Secret"], "T", encrypt="password"))
    with pytest.raises(UnreadableFileError, match=r"^[^\n]*(password|cannot|can be read)[^\n]*$"):
        drafts_of(tmp_path / "book.pdf", "pdf")


def test_a_word_document_gives_paragraphs_and_tables_in_order(tmp_path: Path):
    import docx

    document = docx.Document()
    document.core_properties.title = ""
    document.add_heading("The year", 1)
    document.add_paragraph("Before the table.")
    table = document.add_table(2, 2)
    for number, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"cell {number}"
    document.add_paragraph("Behind it.")
    document.save(str(tmp_path / "year.docx"))
    assert drafts_of(tmp_path / "year.docx", "docx") == [
        Draft(
            1,
            "The year",
            "The year\n\nBefore the table.\n\ncell 0 | cell 1\ncell 2 | cell 3\n\nBehind it.",
        )
    ]
    (tmp_path / "torn.docx").write_bytes((tmp_path / "year.docx").read_bytes()[:-500])
    with pytest.raises(UnreadableFileError, match="not a Word document that can be read"):
        drafts_of(tmp_path / "torn.docx", "docx")


@pytest.mark.parametrize(("reader", "library"), [("pdf", "pypdf"), ("docx", "docx")])
def test_a_missing_library_names_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, library: str
):
    monkeypatch.setitem(sys.modules, library, None)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(
        SettingsError, match=rf'the reader .{reader}. needs {library}.*"lmworks\[documents\]"'
    ):
        drafts_of(tmp_path / "file", reader)


# E-mail


def message(
    subject: str, body: str, page: str | None = None, attachment: bytes | None = None
) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "a@example.org", "b@example.org", subject
    made.set_content(body)
    if page:
        made.add_alternative(page, subtype="html")
    if attachment:
        made.add_attachment(attachment, maintype="application", subtype="pdf", filename="secret.pdf")
    return made


MESSAGES = [
    message("Grüße aus dem Dorf", "Liebe Anne,\n\n> you wrote this\n\nalles ist gut.", "<p>nicht dies</p>"),
    message("With a file", "See the attachment.\nAnd more.", attachment=b"PDF secret"),
    message("Third", "x" * 2_000 + "\n\nFrom now on\nwords"),
]


def test_an_mbox_gives_each_message_as_the_standard_library_reads_it(tmp_path: Path):
    box = mailbox.mbox(str(tmp_path / "post.mbox"))
    for each in MESSAGES:
        box.add(each)
    box.close()
    ours = drafts_of(tmp_path / "post.mbox", "email")
    assert [draft.title for draft in ours] == [each["Subject"] for each in MESSAGES]
    for draft, each in zip(ours, MESSAGES, strict=True):
        body = each.get_body(("plain",))
        assert body
        assert draft.text == body.get_content().strip()
        assert not draft.problem
    lines = (tmp_path / "post.mbox").read_text().split("\n")
    assert all(lines[draft.line - 1].startswith("From ") for draft in ours)


def test_a_message_by_itself_and_one_of_html_alone(tmp_path: Path):
    (tmp_path / "one.eml").write_bytes(MESSAGES[0].as_bytes())
    (draft,) = drafts_of(tmp_path / "one.eml", "email")
    assert draft.title == "Grüße aus dem Dorf"
    assert "> you wrote this" in draft.text
    only = EmailMessage()
    only["Subject"] = "Page"
    only.set_content("<p>Some <b>bold</b> words.</p>", subtype="html")
    (tmp_path / "page.eml").write_bytes(only.as_bytes())
    assert drafts_of(tmp_path / "page.eml", "email")[0].text == "Some bold words."


def test_mail_that_is_none_or_too_long_is_put_aside(tmp_path: Path):
    (tmp_path / "none.eml").write_bytes(b"\n\njust words\n")
    assert drafts_of(tmp_path / "none.eml", "email")[0].problem == "no header of a message"
    kind = b'Content-Type: text/plain; charset="no-such"\nContent-Transfer-Encoding: 8bit'
    (tmp_path / "odd.eml").write_bytes(b"Subject: x\n" + kind + b"\n\ncaf\xe9\n")
    (odd,) = drafts_of(tmp_path / "odd.eml", "email")
    assert (odd.title, odd.text, odd.problem) == ("x", "caf\ufffd", "")
    (tmp_path / "long.eml").write_bytes(MESSAGES[2].as_bytes())
    (long,) = readers["email"](InputFile(tmp_path / "long.eml", longest=500))
    assert (long.rule, long.text.split("\n")[0]) == ("too_long", "From: a@example.org")
