"""Texts from outside in Markdown."""

from __future__ import annotations


def cell(text: object) -> str:
    """A text from outside as one line of a table, with nothing in it that Markdown or HTML would take."""
    plain = " ".join(str(text).split())
    return (
        plain.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace("|", "\\|")
        .replace("[", "\\[")
        .replace("`", "'")
    )
