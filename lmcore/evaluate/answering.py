"""Models answer questions: greedily, each behind the very ids that it was taught to answer behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from lmcore.chat.template import END, encode_conversation
from lmcore.conversations.records import Record
from lmcore.generate.batch import generate_batch
from lmcore.interop.hugging_face import load_folder
from lmcore.tokenizers.tokenizer import Tokenizer

Progress = Callable[[int, int], None]

SPARE_TOKENS = 8
"""Left to an answer beyond the longest right one of its exercise, before it is cut."""


class Answered(NamedTuple):
    """What a model said to a question."""

    text: str
    has_ended: bool
    """By itself; else it was cut."""
    fits: bool
    """Whether the question fits the model's context; else it read the end of it alone."""


def answer_questions(
    folder: Path,
    asked: Sequence[Record],
    right: dict[str, list[str]],
    max_new_tokens: int,
    device: str,
    progress: Progress | None = None,
) -> list[Answered]:
    """A model folder's greedy answer to each question, by the chat template.

    A model that was never taught to chat gets the same ids, and may end with its end-of-text token.

    Args:
        right: right answers by exercise; soon behind the length of the longest one an answer is cut.

    Raises:
        ValueError: the folder is no model, or its tokenizer does not know the markers of a chat.
    """
    tokenizer = Tokenizer.load(folder)
    model = load_folder(folder, device)
    prompts = [
        encode_conversation(record.prompt, tokenizer, add_generation_prompt=True).ids for record in asked
    ]
    longest = {
        exercise: SPARE_TOKENS + max(len(ids) for ids in tokenizer.encode_batch(sorted(set(answers))))
        for exercise, answers in right.items()
    }
    limits = [min(max_new_tokens, longest[record.exercise]) for record in asked]
    stops = (tokenizer.control_id(END), tokenizer.eos_id)
    found = generate_batch(model, prompts, limits, stops, progress)
    return [
        Answered(tokenizer.decode(ids).strip(), len(ids) < limit, len(prompt) <= model.config.context_tokens)
        for prompt, ids, limit in zip(prompts, found, limits, strict=True)
    ]
