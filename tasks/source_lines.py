"""Where in a source's file a passage of a document stands, in words."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lmcore.lineage import file_digest
from tasks.artifacts import SourceFiles
from tasks.engine.workspace import Workspace
from tasks.forgetting.subject import root_of_source

if TYPE_CHECKING:
    from lmcore.corpus.places import Place

PARQUET = b"PAR1"
KEPT = 8
"""Documents whose lines are remembered."""


class Where(NamedTuple):
    """A line of a file."""

    path: Path
    line: int
    note: str = ""
    """Why it is not the line itself; empty if it is."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" + (f" ({self.note})" if self.note else "")


class SourceLines:
    """Looks passages up in the files that they were read from."""

    def __init__(self, workspace: Workspace, sources: Mapping[str, SourceFiles]) -> None:
        self.workspace = workspace
        self._sources = sources
        self._roots = {name: root_of_source(workspace, source) for name, source in sources.items()}
        self._read = lru_cache(KEPT)(self._lines_of)
        self._is_changed = lru_cache(None)(lambda path, known: file_digest(path) != known)

    def find(
        self, source: str, file: str, line: int, text: str, offset: int, next_line: int | None = None
    ) -> Where:
        """The line of the word at an offset of a document's clean text.

        Args:
            line: where the document begins in its file.
            next_line: where the next one begins there; None if there is none.
        """
        path = self._roots.get(source, self.workspace.sources / source) / file
        lines = self._read(source, file, line, next_line)
        if isinstance(lines, str):
            return Where(self._shown(path), line, lines)
        place = self._place(lines, line, text, offset)
        note = "" if place.is_exact else "where the document begins; the words were not found in the file"
        return Where(self._shown(path), place.line, note)

    def _place(self, lines: list[str], first: int, text: str, offset: int) -> Place:
        from lmcore.corpus.places import Lines, Place

        return Place(first, True) if len(lines) == 1 else Lines(lines, first).find(text, offset)

    def _lines_of(self, source: str, file: str, first: int, end: int | None) -> list[str] | str:
        """Some lines of a file; or why there are none to look at."""
        from lmcore.corpus.inputs import InputFile, UnreadableFileError

        begins = "where the document begins; "
        path = self._roots.get(source, Path()) / file
        known = self._sources[source].files.get(file) if source in self._sources else None
        if known is None or not path.is_file():
            return begins + "the file is not there any more"
        if self._is_changed(path, known):
            return begins + "the file was changed since it was read"
        with path.open("rb") as stream:
            if stream.read(len(PARQUET)) == PARQUET:
                return "a row of a table"
        try:
            chosen = islice(InputFile(path).lines(), first - 1, end - 1 if end else None)
            return [line.decode("utf-8", errors="replace") for _, _, line in chosen]
        except UnreadableFileError as error:
            return begins + error.reason

    def _shown(self, path: Path) -> Path:
        """As one types it from the workspace."""
        root = self.workspace.root
        return path.relative_to(root) if path.is_relative_to(root) else path
