"""Quote the sentence of a passage that holds a word: reading, from chapters that were never trained on."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

from lmcore.conversations.draw import shuffled, spread
from lmcore.conversations.exercises import Count, Item, Made, Shelf, Words, exercises
from lmcore.conversations.passages import all_sentences, cut_passages, num_words
from lmcore.corpus.document import Document

WORD = re.compile(r"(?<!\w)[^\W\d_]+(?:['’][^\W\d_]+)*(?!\w)")
MIN_SENTENCES = 3
"""Fewer make guessing easy."""
MIN_WORDS, MIN_LETTERS = 4, 3


def _asks_for_a_word(question: str) -> str:
    if "{word}" not in question:
        raise ValueError(f"the question {question!r} asks for no word; write {{word}} where it is to stand")
    return question


@exercises.register
def quote_sentence(
    shelf: Shelf,
    *,
    num_train: Count = 900,
    num_held_out: Count = 150,
    passage_words: Words = 60,
    answer_words: Words = 30,
    num_common_words: Count = 200,
    question: Annotated[str, AfterValidator(_asks_for_a_word)] = "Quote the sentence with the word {word}.",
) -> Made:
    """A passage and a word, and the one sentence of the passage that holds the word.

    A passage has at least three sentences; the one asked for has at most `answer_words` words. The word
    stands in no other sentence of the passage and is not among the side's `num_common_words` commonest. As
    many passages are from each source as from the others.
    """
    common = _common_words(shelf.documents, num_common_words)
    by_source: defaultdict[str, list[Document]] = defaultdict(list)
    for document in shelf.documents:
        by_source[document.source].append(document)

    def choices(document: Document) -> list[tuple[str, str, str]]:
        runs = cut_passages(all_sentences(document), passage_words)
        found = (_choose(run, common, answer_words, f"{shelf.seed} {document.id}") for run in runs)
        return [choice for choice in found if choice]

    drawn = spread(by_source, shelf.choose(num_train, num_held_out), choices, shelf.seed)
    items = [
        Item(f"{document.id}/{place}", document, f"{passage}\n\n{question.replace('{word}', word)}", sentence)
        for _, document, place, (passage, word, sentence) in drawn
    ]
    note = "" if items else "no passage of three sentences or more is short enough"
    return Made(items, "extract", note=note)


def _common_words(documents: Iterable[Document], number: int) -> frozenset[str]:
    counts: Counter[str] = Counter()
    for document in documents:
        counts.update(WORD.findall(document.text.casefold()))
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return frozenset(ranked[:number])


def _choose(
    run: tuple[str, ...], common: frozenset[str], answer_words: int, seed: str
) -> tuple[str, str, str] | None:
    """(passage, word, sentence), or None if no sentence can be asked for."""
    if len(run) < MIN_SENTENCES:
        return None
    passage = " ".join(run)
    spoken = [WORD.findall(sentence) for sentence in run]
    holders = Counter(word for words in spoken for word in {word.casefold() for word in words})
    for place in shuffled(range(len(run)), seed, lambda place: f"{place} {run[place]}"):
        if not MIN_WORDS <= num_words(run[place]) <= answer_words:
            continue
        fit = {
            word
            for word in spoken[place]
            if len(word) >= MIN_LETTERS and holders[word.casefold()] == 1 and word.casefold() not in common
        }
        if fit:
            return passage, shuffled(fit, seed, str)[0], run[place]
    return None
