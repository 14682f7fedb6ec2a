"""Draws tokens from a model one by one, reading each only once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import torch
from torch import Tensor

from lmcore.generate.logits import (
    keep_top_k,
    keep_top_p,
    penalize_frequency,
    penalize_presence,
    penalize_repetition,
    scale_by_temperature,
)
from lmcore.generate.settings import SamplingConfig
from lmcore.models.transformer import Transformer


def generate(
    model: Transformer,
    prompt_ids: Sequence[int],
    max_new_tokens: int,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    stop_ids: Collection[int] = (),
    repetition_penalty: float = 1.0,
    presence_penalty: float = 0.0,
    frequency_penalty: float = 0.0,
) -> Iterator[int]:
    """The model's continuation of a prompt, token by token, up to a stop token (which is not given back).

    Temperature 0 is greedy: of equal logits the lowest id. Draws come from a generator of its own: the same
    seed gives the same tokens. A text that outgrows the model's context goes on from its later half.

    Raises:
        ValueError: the prompt is empty or holds ids that the model does not know; a setting is out of range.
    """
    sampling = SamplingConfig(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        presence_penalty=presence_penalty,
        frequency_penalty=frequency_penalty,
        seed=seed,
    )
    check_prompt(prompt_ids, model.vocab_size)
    choose = sampler(sampling, prompt_ids, model.vocab_size)
    return _continue(model, list(prompt_ids), max_new_tokens, choose, frozenset(stop_ids))


def check_prompt(prompt_ids: Sequence[int], vocab_size: int) -> None:
    """Raise ValueError for a prompt that a model of that vocabulary cannot continue."""
    if not prompt_ids:
        raise ValueError("the prompt has no tokens; begin with the end-of-text token to write from nothing")
    if strange := [number for number in prompt_ids if not 0 <= number < vocab_size]:
        raise ValueError(
            f"the prompt holds token id {strange[0]}, the model knows 0 to {vocab_size - 1}; "
            f"encode it with the model's own tokenizer"
        )


def sampler(sampling: SamplingConfig, prompt_ids: Sequence[int], vocab_size: int) -> Callable[[Tensor], int]:
    """A function from logits (V,) to the next token; it counts what it has chosen, for the penalties."""
    generator = torch.Generator().manual_seed(sampling.seed)
    counts = torch.bincount(torch.tensor(prompt_ids), minlength=vocab_size)  # (V,)

    def choose(logits: Tensor) -> int:
        shaped = shape_logits(logits.float().cpu(), counts, sampling)
        if sampling.temperature == 0:
            token = int(shaped.argmax())
        else:
            token = int(torch.multinomial(shaped.double().softmax(dim=-1), 1, generator=generator))
        counts[token] += 1
        return token

    return choose


def shape_logits(logits: Tensor, counts: Tensor, sampling: SamplingConfig) -> Tensor:
    """All settings applied in their order; logits and counts are (V,). Greedy skips what cannot matter."""
    if sampling.repetition_penalty != 1:
        logits = penalize_repetition(logits, counts, sampling.repetition_penalty)
    if sampling.presence_penalty:
        logits = penalize_presence(logits, counts, sampling.presence_penalty)
    if sampling.frequency_penalty:
        logits = penalize_frequency(logits, counts, sampling.frequency_penalty)
    if sampling.temperature == 0:
        return logits
    logits = scale_by_temperature(logits, sampling.temperature)
    if sampling.top_k is not None:
        logits = keep_top_k(logits, sampling.top_k)
    if sampling.top_p is not None:
        logits = keep_top_p(logits, sampling.top_p)
    return logits


def _continue(
    model: Transformer,
    text: list[int],
    max_new_tokens: int,
    choose: Callable[[Tensor], int],
    stop_ids: frozenset[int],
) -> Iterator[int]:
    cache = model.new_cache()
    unread = text[-cache.max_tokens :]
    for _ in range(max_new_tokens):
        if cache.num_tokens + len(unread) > cache.max_tokens:
            cache.clear()
            unread = text[-(cache.max_tokens // 2) :]
        with torch.inference_mode():
            tokens = torch.tensor([unread], device=model.embedding.weight.device)
            hidden = model.read(tokens, cache)[0, -1]  # (D,): only the last token's logits are wanted
            token = choose(model.to_logits(hidden))
        if token in stop_ids:
            return
        text.append(token)
        unread = [token]
        yield token
