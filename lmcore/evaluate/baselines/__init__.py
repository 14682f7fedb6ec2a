"""Cheap ways to answer, beside which a model's score means something.

A baseline is a pure function of the train side's conversations, the questions asked and a seed; it sees of a
question what a model sees, and never its answer.

majority.py      the commonest answer
bag_of_words.py  logistic regression on the words of the question; the answer of the nearest question
copying.py       the first sentence of what was read, one at random, its first words
guessing.py      an answer of the train side at random
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lmcore.conversations.records import ExerciseFacts, Record
from lmcore.evaluate.baselines.bag_of_words import bag_of_words, nearest_question
from lmcore.evaluate.baselines.copying import first_sentence, lead, random_sentence
from lmcore.evaluate.baselines.guessing import random_answer
from lmcore.evaluate.baselines.majority import majority

Baseline = Callable[[Sequence[Record], Sequence[Record], int], list[str]]


def baselines_for(facts: ExerciseFacts) -> tuple[Baseline, ...]:
    """What fits an exercise: looking up an answer is no baseline where the same questions are asked again."""
    if facts.answers == "label":
        return majority, bag_of_words
    if facts.answers == "extract":
        return first_sentence, random_sentence, lead
    return (random_answer,) if facts.claim == "recall" else (random_answer, nearest_question)
