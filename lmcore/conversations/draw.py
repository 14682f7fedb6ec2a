"""Which items are taken: decided by hashes of names, so that a new document moves no old item by chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import TypeVar

from lmcore.corpus.document import Document

Piece = TypeVar("Piece")


def shuffled(items: Iterable[Piece], seed: str, name: Callable[[Piece], str]) -> list[Piece]:
    """The items in an order that their names and the seed decide, whatever order they came in."""
    return sorted(items, key=lambda item: sha256(f"{seed}\n{name(item)}".encode()).digest())


def spread(
    groups: Mapping[str, Sequence[Document]],
    number: int,
    cut: Callable[[Document], Sequence[Piece]],
    seed: str,
) -> Iterator[tuple[str, Document, int, Piece]]:
    """About `number` pieces: as many of each group, and within it as many of each document as there are.

    Gives (group, document, place of the piece in it, piece). A group that has too little gives all it has,
    and no other group more.
    """
    names = sorted(groups)
    for position, name in enumerate(names):
        share = number // len(names) + (position < number % len(names))
        yield from _spread_group(name, groups[name], share, cut, seed)


def _spread_group(
    name: str,
    documents: Sequence[Document],
    number: int,
    cut: Callable[[Document], Sequence[Piece]],
    seed: str,
) -> Iterator[tuple[str, Document, int, Piece]]:
    """One piece of each document, then a second one of each, and so on."""
    left = number
    waiting: list[tuple[Document, Iterator[tuple[int, Piece]]]]
    order = shuffled(documents, seed, lambda document: document.id)
    rounds: Iterable[tuple[Document, Iterator[tuple[int, Piece]]]] = (
        (document, iter(_pieces(document, cut, seed))) for document in order
    )
    while left:
        waiting = []
        for document, pieces in rounds:
            if not left:
                return
            if (drawn := next(pieces, None)) is not None:
                yield name, document, *drawn
                left -= 1
                waiting.append((document, pieces))
        if not waiting:
            return
        rounds = waiting


def _pieces(
    document: Document, cut: Callable[[Document], Sequence[Piece]], seed: str
) -> list[tuple[int, Piece]]:
    return shuffled(enumerate(cut(document)), seed, lambda numbered: f"{document.id} {numbered[0]}")
