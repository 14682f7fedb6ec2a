"""What a text is from, in words: a name for each file of a source with few files, else one for the source."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lmcore.corpus.document import Document
from lmcore.corpus.ledger import SIDES, Side

_SMALL_WORDS = "a an and as at by for from in of on or the to with"
SMALL_WORDS = frozenset(_SMALL_WORDS.split())
ENDING = re.compile(r"\.[A-Za-z0-9]{1,6}(\.gz)?$|\.gz$")
ORDER = re.compile(r"^\d{2,}[_\- ]+(?=\S)")
"""A number in front of a file's name that only sorts it."""

FilesOnSides = Mapping[str, Mapping[str, set[Side]]]


@dataclass(frozen=True)
class Works:
    """Which files each source has, and on which sides their documents stand; nothing of their texts."""

    files: FilesOnSides = field(default_factory=dict)

    @classmethod
    def of(cls, sides: Mapping[Side, Iterable[Document]]) -> Works:
        """The files of all documents."""
        files: defaultdict[str, defaultdict[str, set[Side]]] = defaultdict(lambda: defaultdict(set))
        for side in SIDES:
            for document in sides.get(side, ()):
                files[document.source][document.file].add(side)
        return cls({source: dict(found) for source, found in files.items()})

    def names(
        self, max_files: int = 12, titles: Mapping[str, str] | None = None
    ) -> dict[tuple[str, str], str]:
        """The work's name for each (source, file).

        A source is one work unless it has at most `max_files` files of which two or more stand both on the
        train side and on another one; `titles` calls a source or a file by another name.
        """
        titles = titles or {}
        names: dict[tuple[str, str], str] = {}
        for source, files in self.files.items():
            torn = [file for file, sides in files.items() if "train" in sides and len(sides) > 1]
            is_many = len(files) <= max_files and (len(torn) > 1 or len(files) == 1)
            readable = readable_names(files)
            for file in files:
                called = titles.get(file, readable[file]) if is_many else readable_name(source)
                names[source, file] = titles.get(source, called)
        return names

    def taught(self, names: Mapping[tuple[str, str], str]) -> set[str]:
        """Of these names, those of works of which something stands on the train side."""
        return {name for (source, file), name in names.items() if "train" in self.files[source][file]}


def readable_names(files: Iterable[str]) -> dict[str, str]:
    """`pride_and_prejudice.txt.gz` -> `Pride and Prejudice`; numbers that sort all the files are left out."""
    stems = {file: ENDING.sub("", file.rpartition("/")[2]) or file for file in files}
    if len(stems) > 1 and all(ORDER.match(stem) for stem in stems.values()):
        stems = {file: ORDER.sub("", stem) for file, stem in stems.items()}
    return {file: readable_name(stem) for file, stem in stems.items()}


def readable_name(name: str) -> str:
    """Spaces for underscores and hyphens; capitals where the name has none."""
    words = re.sub(r"[_\s]+|(?<=\w)-(?=\w)", " ", name).split()
    if name != name.lower():
        return " ".join(words)
    return " ".join(
        word if place and word in SMALL_WORDS else word[:1].upper() + word[1:]
        for place, word in enumerate(words)
    )
