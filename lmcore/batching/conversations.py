"""Which conversations a finetuning step or a validation sees.

As in `windows`, a batch is a pure function of (seed, step): to resume needs nothing but the step. Every epoch
visits each conversation once. Neighbours of like length share a batch, so that hardly anything is padded: the
shuffled epoch is sorted by length within pools of many batches, and then the batches are shuffled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from lmcore.batching.permutation import Permutation
from lmcore.chat.conversation import Conversation
from lmcore.chat.template import END, START, EncodedConversation, encode_conversation
from lmcore.config import explain
from lmcore.tokenizers.tokenizer import Tokenizer

POOL_BATCHES = 64
"""Batches that are sorted by length together: more pads less, fewer leaves more to chance."""
_LONGEST = 60


class ConversationBatches:
    """The conversations of a JSON Lines file as token ids, in batches."""

    def __init__(
        self, path: Path, tokenizer: Tokenizer, context_tokens: int, batch_size: int, seed: int
    ) -> None:
        """Read and encode all; one whose inputs, all its ids but the last, outgrow the context is left out.

        Raises:
            ValueError: a line is broken or teaches nothing, or no conversation is left.
        """
        self.path = path
        self.batch_size = batch_size
        self.seed = seed
        self.num_skipped = 0
        """Conversations that are longer than the context."""
        kept: list[NDArray[np.int32]] = []
        learned: list[NDArray[np.bool_]] = []
        for encoded in _read(path, tokenizer):
            if len(encoded.ids) > context_tokens + 1:
                self.num_skipped += 1
                continue
            kept.append(np.array(encoded.ids, dtype=np.int32))  # a tenth of what lists of int take
            learned.append(np.array(encoded.is_learned, dtype=np.bool_))
        if not kept:
            raise ValueError(_nothing_left(path, self.num_skipped, context_tokens))
        self._ids, self._is_learned = kept, learned
        self._lengths = np.array([len(ids) for ids in kept], dtype=np.int64)
        self._order: tuple[int, NDArray[np.int64]] = (-1, self._lengths)

    @property
    def num_conversations(self) -> int:
        """Conversations in one epoch."""
        return len(self._ids)

    @property
    def num_answer_tokens(self) -> int:
        """Tokens that the model is to learn to say, in one epoch."""
        return sum(int(mask.sum()) for mask in self._is_learned)

    def batch(self, step: int) -> list[EncodedConversation]:
        """The conversations of a step counted from 0, always batch_size of them, short ones first."""
        numbers = np.arange(step * self.batch_size, (step + 1) * self.batch_size, dtype=np.int64)
        epochs, positions = np.divmod(numbers, self.num_conversations)
        chosen = [
            self._epoch_order(epoch)[positions[epochs == epoch]]
            for epoch in range(int(epochs[0]), int(epochs[-1]) + 1)
        ]
        return self._gather(self._by_length(np.concatenate(chosen)))

    def everything(self) -> list[EncodedConversation]:
        """Each conversation once, short ones first, those of one length as in the file: for validation."""
        return self._gather(self._by_length(np.arange(self.num_conversations)))

    def epoch(self, step: int) -> float:
        """How often each conversation has been seen when a step begins."""
        return step * self.batch_size / self.num_conversations

    def _gather(self, numbers: NDArray[np.int64]) -> list[EncodedConversation]:
        return [EncodedConversation(self._ids[n].tolist(), self._is_learned[n].tolist()) for n in numbers]

    def _by_length(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        return numbers[np.argsort(self._lengths[numbers], kind="stable")]

    def _epoch_order(self, epoch: int) -> NDArray[np.int64]:
        """The order in which an epoch visits the conversations, (num_conversations,)."""
        if self._order[0] != epoch:
            self._order = (epoch, self._shuffle(epoch))
        return self._order[1]

    def _shuffle(self, epoch: int) -> NDArray[np.int64]:
        """First what fills up the batch in which the last epoch ended, then batches, then what is left."""
        N, B = self.num_conversations, self.batch_size
        shuffled = Permutation(N, "conversations", self.seed, epoch)(np.arange(N))
        first, rest = np.split(shuffled, [min(-epoch * N % B, N)])
        pools = np.arange(len(rest)) // (POOL_BATCHES * B)
        rest = rest[np.lexsort((self._lengths[rest], pools))]
        num_batches = len(rest) // B
        batches, left = rest[: num_batches * B].reshape(num_batches, B), rest[num_batches * B :]
        if num_batches:
            batches = batches[Permutation(num_batches, "batches", self.seed, epoch)(np.arange(num_batches))]
        return np.concatenate([first, batches.ravel(), left])


def _nothing_left(path: Path, num_skipped: int, context_tokens: int) -> str:
    if not num_skipped:
        return f"{path} has no conversation to learn from; add some, or give this side a larger share"
    return (
        f"{path} has no conversation to learn from: all there are, {num_skipped}, are longer than the "
        f"context of {context_tokens} tokens; shorten them, or give the base a longer context"
    )


def _read(path: Path, tokenizer: Tokenizer) -> Iterator[EncodedConversation]:
    """Every conversation of a file, encoded; blank lines are passed over."""
    tokenizer.control_id(START), tokenizer.control_id(END)  # what a tokenizer lacks is no line's fault
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                encoded = encode_conversation(_conversation(line), tokenizer)
                if not any(encoded.is_learned):
                    raise ValueError("no message is from 'assistant', so there is nothing to learn from it")
            except ValidationError as error:
                raise ValueError(f"{path}, line {number}: {explain(error, Conversation)}") from None
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{path}, line {number}: {error}") from None
            yield encoded


def _conversation(line: bytes) -> Conversation:
    """The conversation of a line; what else the line tells of it is for others."""
    try:
        record = json.loads(line.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError(f"{line[:_LONGEST]!r} is not JSON in UTF-8; expected one object a line") from None
    if not isinstance(record, dict) or "messages" not in record:
        raise ValueError(f"{line[:_LONGEST]!r} is no object with 'messages'; expected a conversation")
    return Conversation(messages=record["messages"])
