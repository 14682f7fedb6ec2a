"""Does a model write anything at all? What it says behind a few prompts, and whether that is text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from lmcore.chat.template import END, begin_answer
from lmcore.evaluate.perplexity import one_thread_per_pass
from lmcore.evaluate.settings import GateConfig
from lmcore.generate.decode import generate
from lmcore.models.transformer import Transformer
from lmcore.tokenizers.tokenizer import Tokenizer

FEW = 4
"""A single token said up to so many times is an answer; more often it is a stutter."""


class Sample(NamedTuple):
    """What a model wrote behind a prompt."""

    prompt: str
    temperature: float
    text: str
    num_tokens: int
    is_finite: bool
    """Whether every logit was a number."""
    is_text: bool
    """Finite, not empty, and not one token over and over."""


def write_samples(
    model: Transformer, tokenizer: Tokenizer, settings: GateConfig, *, is_chat: bool
) -> list[Sample]:
    """What the model writes behind each prompt, greedily and by chance, in that order.

    Args:
        is_chat: a prompt is a question, put in the chat template; else it is the beginning of a text.

    Raises:
        ValueError: the tokenizer lacks the markers of a chat.
    """
    samples = []
    for prompt in settings.prompts:
        start = begin_answer(prompt, tokenizer) if is_chat else [tokenizer.eos_id, *tokenizer.encode(prompt)]
        stops = {tokenizer.eos_id} | ({tokenizer.control_id(END)} if is_chat else set())
        for temperature in (0.0, settings.temperature):
            ids, is_finite = _write(model, start, stops, temperature, settings)
            text = tokenizer.decode(ids)
            is_text = is_finite and bool(text.strip()) and not is_stutter(ids)
            samples.append(Sample(prompt, temperature, text, len(ids), is_finite, is_text))
    return samples


def is_stutter(ids: Sequence[int]) -> bool:
    """Whether one token is all that was said, and more than a few times."""
    return len(ids) > FEW and len(set(ids)) == 1


def tell_smoke(samples: Sequence[Sample]) -> dict[str, Any]:
    """What a verdict needs: whether all logits are finite, and the prompts behind which no text came.

    One text of the two behind a prompt is enough: small models stutter when they are greedy.
    """
    prompts = list(dict.fromkeys(sample.prompt for sample in samples))
    spoken = {sample.prompt for sample in samples if sample.is_text}
    return {
        "prompts": len(prompts),
        "is_finite": all(sample.is_finite for sample in samples),
        "silent": [prompt for prompt in prompts if prompt not in spoken],
    }


def _write(
    model: Transformer, start: list[int], stops: set[int], temperature: float, settings: GateConfig
) -> tuple[list[int], bool]:
    """The new ids, and whether every logit on the way was finite; behind one that is not nothing counts."""
    with _watched(model) as is_finite, one_thread_per_pass():
        written: Iterator[int] = generate(
            model, start, settings.sample_tokens, temperature, seed=settings.seed, stop_ids=stops
        )
        ids: list[int] = []
        try:
            for token in written:
                if not all(is_finite):
                    return [], False
                ids.append(token)
        except RuntimeError:  # torch draws from no distribution with a NaN in it
            if all(is_finite):
                raise
    return ([], False) if not all(is_finite) else (ids, True)


@contextmanager
def _watched(model: Transformer) -> Iterator[list[bool]]:
    """A list that gets, for each pass through the output layer, whether its logits are finite."""
    is_finite: list[bool] = []
    hook = model.to_logits.register_forward_hook(
        lambda layer, inputs, logits: is_finite.append(bool(torch.isfinite(logits).all()))
    )
    try:
        yield is_finite
    finally:
        hook.remove()
