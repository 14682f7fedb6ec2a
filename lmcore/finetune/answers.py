"""Conversations as rows of tokens in which the assistant's words, and the marker that ends them, count.

A conversation is read up to its last word that counts; rows of like length share a pass. What fills up the
shorter rows stands behind all that counts, where causal attention does not see it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from lmcore.batching.conversations import ConversationBatches
from lmcore.chat.template import EncodedConversation
from lmcore.tokenizers.tokenizer import Tokenizer
from lmcore.train.batch import Batch, Rows

NUM_EVEN_LANES = 4
"""On a CPU a batch is cut into a multiple of so many passes: two or four threads then end together."""


class AnswerBatches:
    """What a finetuning step learns from."""

    def __init__(self, conversations: ConversationBatches, pass_tokens: int, pass_multiple: int = 1) -> None:
        """See `cut_into_passes`."""
        self._conversations = conversations
        self._cut = (pass_tokens, pass_multiple)

    def batch(self, step: int) -> Batch:
        """The batch of a step counted from 0."""
        conversations = [_trim(each) for each in self._conversations.batch(step)]
        passes = cut_into_passes(conversations, *self._cut)
        num_tokens = sum(len(each.ids) - 1 for each in conversations)
        return Batch([to_rows(rows) for rows in passes], num_tokens, _num_targets(conversations))


class HeldOutAnswers:
    """What a look at a finetuned model scores: the answers of conversations that it does not learn from."""

    def __init__(
        self,
        conversations: ConversationBatches,
        tokenizer: Tokenizer,
        pass_tokens: int,
        most: int | None = None,
    ) -> None:
        """At most so many conversations, spread evenly over short and long ones; None takes all.

        Raises:
            ValueError: the answers spell no text.
        """
        everything = conversations.everything()
        N = len(everything)
        count = N if most is None else min(most, N)
        chosen = [_trim(everything[number * N // count]) for number in range(count)]
        self._passes = cut_into_passes(chosen, pass_tokens)
        self.num_targets = _num_targets(chosen)
        self.num_bytes = sum(int(tokenizer.token_bytes[_answer(each)].sum()) for each in chosen)
        if not self.num_bytes:
            raise ValueError(f"{conversations.path}: no answer holds any text; expected something to learn")

    def passes(self) -> Iterator[Rows]:
        """All of it, once."""
        return map(to_rows, self._passes)


def cut_into_passes(
    conversations: Sequence[EncodedConversation], pass_tokens: int, multiple: int = 1
) -> list[list[EncodedConversation]]:
    """Sort conversations by length and share them out over passes of about equal size.

    A pass holds about pass_tokens tokens or one conversation; there are a multiple of so many passes, where
    there are enough conversations.
    """
    ordered = sorted(conversations, key=lambda each: len(each.ids))
    ends = np.cumsum([len(each.ids) - 1 for each in ordered])
    num_passes = -(-int(ends[-1]) // pass_tokens)
    num_passes = min(len(ordered), -(-num_passes // multiple) * multiple)
    middles = (np.concatenate([[0], ends[:-1]]) + ends) / 2
    numbers = (middles * num_passes / ends[-1]).astype(int)
    passes: list[list[EncodedConversation]] = [[] for _ in range(num_passes)]
    for number, conversation in zip(numbers, ordered, strict=True):
        passes[number].append(conversation)
    return [rows for rows in passes if rows]


def to_rows(conversations: Sequence[EncodedConversation]) -> Rows:
    """Conversations side by side, the shorter ones filled up with what does not count."""
    shape = (len(conversations), max(len(each.ids) for each in conversations))
    tokens = np.zeros(shape, dtype=np.int64)  # (B, T + 1)
    is_learned = np.zeros(shape, dtype=np.bool_)
    for row, each in enumerate(conversations):
        tokens[row, : len(each.ids)] = each.ids
        is_learned[row, : len(each.ids)] = each.is_learned
    return Rows(torch.from_numpy(tokens), torch.from_numpy(is_learned[:, 1:]))


def _trim(conversation: EncodedConversation) -> EncodedConversation:
    """The conversation up to its last token that counts: nothing is learned from what stands behind it."""
    end = len(conversation.ids) - conversation.is_learned[::-1].index(True)
    return EncodedConversation(conversation.ids[:end], conversation.is_learned[:end])


def _num_targets(conversations: Sequence[EncodedConversation]) -> int:
    return sum(sum(each.is_learned[1:]) for each in conversations)


def _answer(conversation: EncodedConversation) -> list[int]:
    return [n for n, learned in zip(conversation.ids, conversation.is_learned, strict=True) if learned]
