"""Full-text search over a corpus: BM25 (Robertson and Zaragoza 2009) as plain SQL, without an index of words.

Only texts that contain a word are looked into for it, and only words that contain it are cut out of them; how
long each document is, in words between white space, has been counted with the catalogue.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from lmcore.config import SettingsError
from lmcore.corpus.catalogue import rows
from lmcore.corpus.ledger import SIDES

if TYPE_CHECKING:
    import duckdb

K1, B = 1.2, 0.75
TERM = r"[\p{L}\p{M}\p{N}_]+"
"""What can be looked for as a word, in lower case."""
SNIPPET = 240
"""Characters of a text that are shown around what was found."""


@dataclass(frozen=True)
class Hit:
    """A document that was found."""

    id: str
    source: str
    file: str
    title: str
    side: str
    score: float
    text: str
    terms: tuple[str, ...]
    """The words that were looked for, in lower case."""

    @property
    def offset(self) -> int:
        """Where the stretch of the text begins that is richest in what was looked for."""
        places = [(found.start(), found[0].lower()) for found in self._pattern.finditer(self.text)]
        if not places:
            return 0
        counts = Counter(term for _, term in places)  # a word that is rare here says more than a common one
        best, begin = 0.0, 0
        for first, (place, _) in enumerate(places):
            behind = takewhile(lambda each: each[0] < place + SNIPPET, islice(places, first, None))  # noqa: B023
            near = {term for _, term in behind}
            wealth = sum(1 / counts[term] for term in near)
            if wealth > best:
                best, begin = wealth, place
        return begin

    @property
    def snippet(self) -> list[tuple[str, bool]]:
        """(piece of text, whether it is one of the words), from a little before the offset."""
        begin = max(self.offset - SNIPPET // 4, 0)
        begin = self.text.rfind(" ", 0, begin + 1) + 1 if begin else 0
        end = min(begin + SNIPPET, len(self.text))
        end = end if end == len(self.text) else max(self.text.rfind(" ", begin, end), begin + 1)
        shown = ("… " if begin else "") + " ".join(self.text[begin:end].split())
        shown += " …" if end < len(self.text) else ""
        pieces, last = [], 0
        for found in self._pattern.finditer(shown):
            pieces += [(shown[last : found.start()], False), (found[0], True)]
            last = found.end()
        return [piece for piece in [*pieces, (shown[last:], False)] if piece[0]]

    @property
    def _pattern(self) -> re.Pattern[str]:
        spelled = "|".join(map(re.escape, sorted(self.terms, key=len, reverse=True)))
        return re.compile(rf"(?<!\w)(?:{spelled})(?!\w)", re.IGNORECASE)


def search(
    database: duckdb.DuckDBPyConnection, words: str, *, most: int = 10, side: str | None = None
) -> list[Hit]:
    """The documents that words describe best, the best first.

    score = sum over the words of idf * tf (k1 + 1) / (tf + k1 (1 - b + b * length / mean length)), where
    idf = ln(1 + (N - df + 0.5) / (df + 0.5)), k1 is 1.2 and b 0.75; a word asked for twice counts once.

    Args:
        side: only there; None for the three sides of the corpus. All counts are of the same documents.

    Raises:
        SettingsError: no word in what is looked for.
    """
    found = database.execute(
        f"SELECT list_distinct(regexp_extract_all(lower(?), '{TERM}'))", [words]
    ).fetchone()
    terms = tuple(sorted(found[0])) if found else ()
    if not terms:
        raise SettingsError(f"no word to search for in '{words}'; write some letters or digits")
    sides = (side,) if side else SIDES
    scored = rows(database, _query(terms, sides), [most])
    ids = [row["id"] for row in scored]
    texts = dict(database.execute("SELECT id, text FROM texts WHERE list_contains(?, id)", [ids]).fetchall())
    return [Hit(**row, text=texts[row["id"]], terms=terms) for row in scored]


def _query(terms: Sequence[str], sides: Sequence[str]) -> str:
    """Each word is one of letters, marks, digits and `_`, so it may stand in the query as it is."""
    numbers = range(len(terms))
    among = "side IN (" + ", ".join(f"'{side}'" for side in sides) + ")"
    frequencies = ", ".join(f"{_occurrences(term)} AS tf_{number}" for number, term in enumerate(terms))
    in_documents = ", ".join(f"count(*) FILTER (tf_{number} > 0) AS df_{number}" for number in numbers)
    score = " + ".join(
        f"ln(1 + (total - df_{number} + 0.5) / (df_{number} + 0.5)) * tf_{number} * {K1 + 1} / "
        f"(tf_{number} + {K1} * (1 - {B} + {B} * words / mean))"
        for number in numbers
    )
    contained = " OR ".join(f"contains(lowered, '{term}')" for term in terms)
    return f"""
        WITH lowered AS (SELECT id, lower(text) AS lowered FROM texts WHERE {among}),
        counted AS MATERIALIZED (SELECT id, {frequencies} FROM lowered WHERE {contained}),
        frequent AS (SELECT {in_documents} FROM counted),
        whole AS (SELECT count(*) AS total, avg(words) AS mean FROM documents WHERE {among})
        SELECT id, source, file, title, side, {score} AS score
        FROM counted JOIN documents USING (id) CROSS JOIN frequent CROSS JOIN whole
        WHERE score > 0 ORDER BY score DESC, id LIMIT ?
    """


def _occurrences(term: str) -> str:
    """How often a word stands in a text in lower case: of all words that contain it, those that are it."""
    around = TERM.removesuffix("+") + "*"
    cut_out = f"regexp_extract_all(lowered, '{around}{term}{around}')"
    exact = f"len(list_filter({cut_out}, lambda word: word = '{term}'))"
    return f"CASE WHEN contains(lowered, '{term}') THEN {exact} ELSE 0 END"
