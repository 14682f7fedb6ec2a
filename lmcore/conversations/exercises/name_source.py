"""Which work is this passage from? Asked of passages from chapters that were never trained on."""

from __future__ import annotations

from collections import defaultdict

from lmcore.conversations.draw import spread
from lmcore.conversations.exercises import Count, Item, Made, Shelf, Words, exercises
from lmcore.conversations.passages import all_sentences, cut_passages
from lmcore.corpus.document import Document


@exercises.register
def name_source(
    shelf: Shelf,
    *,
    num_train: Count = 900,
    num_held_out: Count = 150,
    passage_words: Words = 60,
    max_files: Count = 12,
    titles: dict[str, str] | None = None,
    question: str = "Which book is this passage from?",
) -> Made:
    """A passage, and the name of its work, for as many passages of each work as there are of the others.

    A passage is a run of sentences of at most `passage_words` words and at least half as many. Passages that
    spell the name of their work are passed over, and works of which the train side has nothing. Works are the
    files of a source with at most `max_files` of them, else the source; `titles` gives a source or a file
    another name.
    """
    names = shelf.works.names(max_files, titles)
    taught = shelf.works.taught(names)
    if len(taught) < 2:
        return Made((), "label", note="the corpus is one work, so there is nothing to tell apart")
    by_work: defaultdict[str, list[Document]] = defaultdict(list)
    for document in shelf.documents:
        if (work := names[document.source, document.file]) in taught:
            by_work[work].append(document)

    def passages(document: Document) -> list[str]:
        name = names[document.source, document.file].casefold()
        cut = cut_passages(all_sentences(document), passage_words)
        return [passage for run in cut if name not in (passage := " ".join(run)).casefold()]

    drawn = spread(by_work, shelf.choose(num_train, num_held_out), passages, shelf.seed)
    items = [
        Item(f"{document.id}/{place}", document, f"{passage}\n\n{question}", work)
        for work, document, place, passage in drawn
    ]
    return Made(items, "label")
