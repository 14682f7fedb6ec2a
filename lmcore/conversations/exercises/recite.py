"""Recite a verse, or the first sentence of a chapter: learned by heart from the train side.

It claims recall and nothing else: the same few items are asked on every side, all of them from chapters that
were trained on. That is what knowing a text by heart means, and why this exercise may ask on a held-out side
for what stands on the train side.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Annotated

from pydantic import Field

from lmcore.conversations.draw import spread
from lmcore.conversations.exercises import Count, Item, Made, Shelf, Words, exercises
from lmcore.conversations.passages import all_sentences, num_words, verses
from lmcore.conversations.works import readable_name
from lmcore.corpus.document import Document

MIN_WORDS = 4


@exercises.register
def recite(
    shelf: Shelf,
    *,
    num_items: Count = 40,
    num_repeats: Annotated[int, Field(ge=1)] = 4,
    answer_words: Words = 30,
    max_files: Count = 12,
    titles: dict[str, str] | None = None,
) -> Made:
    """`Recite Ruth 1:16.` and the verse; of a text without verses, the first sentence of a titled document.

    As many items are from each source as from the others, each with at most `answer_words` words. The train
    side holds each `num_repeats` times, so that a few passes over it are enough to learn them.
    """
    names = shelf.works.names(max_files, titles)
    called = {document.id: _reference(document, names) for document in shelf.documents}
    times = Counter(called.values())
    by_source: defaultdict[str, list[Document]] = defaultdict(list)
    for document in shelf.documents:
        if document.title.strip() and times[called[document.id]] == 1:
            by_source[document.source].append(document)

    def answers(document: Document) -> list[tuple[str, str]]:
        return [
            (reference, text)
            for reference, text in _places(document, called[document.id])
            if MIN_WORDS <= num_words(text) <= answer_words
        ]

    items = [
        Item(reference, document, f"Recite {reference}.", text)
        for _, document, _, (reference, text) in spread(by_source, num_items, answers, shelf.seed)
    ]
    note = "" if items else "no document has a title of its own and a verse or first sentence short enough"
    return Made(items, "free", claim="recall", note=note, repeats=num_repeats)


def _reference(document: Document, names: dict[tuple[str, str], str]) -> str:
    """What a reader calls the document: `Ruth 1`, or `CHAPTER 5 of Northanger Abbey`."""
    title, work = document.title.strip(), names[document.source, document.file]
    if verses(document):
        return title
    if title in document.file:  # a file without headings is called as it is
        title = readable_name(title)
    return title if title == work else f"{title} of {work}"


def _places(document: Document, reference: str) -> list[tuple[str, str]]:
    if numbered := verses(document):
        return [(f"{reference}:{number}", verse) for number, verse in numbered.items()]
    return [(f"the first sentence of {reference}", sentence) for sentence in all_sentences(document)[:1]]
