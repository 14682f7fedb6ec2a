"""One way to mend texts a file: a cleaner changes a text as little as it must, and tells what it did.

A cleaner is a pure function of the normalised text; its keyword-only parameters are its settings. Applied to
its own output it changes nothing more. Cleaners stand before the filters: what they leave is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lmcore.registry import Registry

EXAMPLE_CHARACTERS = 200


class Edit(NamedTuple):
    """What one rule of a cleaner changed in a text."""

    rule: str
    occurrences: int
    characters: int
    """Characters that were taken out or replaced."""
    example: str
    """The first of them as it was or, for what nobody should read, what stands there now."""


class Cleaned(NamedTuple):
    """The text that is left, and what was changed; nothing, where the text is as it was."""

    text: str
    edits: tuple[Edit, ...] = ()


cleaners: Registry[Callable[..., Cleaned]] = Registry("cleaner", "lmcore.corpus.cleaners")


class Tally:
    """Adds up what the rules of one cleaner changed in a text."""

    def __init__(self) -> None:
        self._edits: dict[str, Edit] = {}

    def count(self, rule: str, taken: str, example: str | None = None) -> None:
        """Once more."""
        known = self._edits.get(rule)
        example = (taken if example is None else example).strip()[:EXAMPLE_CHARACTERS]
        occurrences, characters = (known.occurrences, known.characters) if known else (0, 0)
        self._edits[rule] = Edit(
            rule, occurrences + 1, characters + len(taken), known.example if known else example
        )

    def edits(self) -> tuple[Edit, ...]:
        """One for each rule that changed something, by name."""
        return tuple(self._edits[rule] for rule in sorted(self._edits))
