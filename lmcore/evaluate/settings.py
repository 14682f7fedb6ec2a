"""What an evaluation measures, and how."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from lmcore.config import Config
from lmcore.runtime import resolve_device, resolve_precision


class ScoringConfig(Config):
    """How the text of a side is scored."""

    context_tokens: int | None = Field(None, ge=1)
    """How many tokens the model looks back at most; None: as many as it was trained on."""
    stride: int | None = Field(None, ge=1)
    """How far the window moves: smaller gives each token more context, lower perplexity and more work.

    None: half of the context.
    """
    num_resamples: int = Field(1_000, ge=1)
    """Bootstrap resamples behind each 95 % interval."""
    seed: int = Field(0, ge=0)
    """Of the resampling and of the samples drawn."""
    precision: Literal["auto", "bf16", "fp32"] = "fp32"
    """fp32 gives the same digits on more machines; bf16 is faster where the processor has it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute: `auto` takes a GPU if there is one."""

    @model_validator(mode="after")
    def _stride_fits(self) -> Self:
        if self.context_tokens and self.stride and self.stride > self.context_tokens:
            raise ValueError(
                f"stride {self.stride} is more than context_tokens {self.context_tokens}, so that "
                "tokens would be skipped: take a stride of at most the context"
            )
        return self

    def resolved(self) -> Self:
        """The same settings with this machine's device and precision in place of `auto`."""
        device = resolve_device(self.device)
        return self.model_copy(
            update={"device": device, "precision": resolve_precision(self.precision, device)}
        )


class EvaluateConfig(ScoringConfig):
    """How to score a model on the test side, and what to let it write."""

    prompts: tuple[str, ...] = ("The", "She said", "In the beginning")
    """What the model is asked to go on from, once greedily and once by chance."""
    sample_tokens: int = Field(64, ge=1)
    """Tokens written after each prompt."""
    temperature: float = Field(0.8, gt=0)
    """Of the samples drawn by chance; the greedy ones have none."""


class ComparisonConfig(ScoringConfig):
    """How to score several models on the same text, and what to let each of them write."""

    context_tokens: int | None = Field(None, ge=1)
    """How many tokens each model looks back at most; None: as many as all of them were trained on."""
    stride: int | None = Field(None, ge=1)
    """How far the window moves: smaller gives each token more context, lower perplexity and more work.

    None: three quarters of the context. Every token behind a document's first window then sees a quarter of
    the context or more. All models read the same windows, so that more context would change what they score,
    but hardly by how much they differ.
    """
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bf16 where the processor has it: about twice as fast, and far more exact than the documents can tell
    models apart. fp32 gives the same digits on more machines."""
    prompts: tuple[str, ...] = ("The", "She said")
    """What each model is asked to go on from, greedily, so that their answers stand side by side."""
    sample_tokens: int = Field(48, ge=1)
    """Tokens written after each prompt."""


class ExamConfig(Config):
    """How models answer the questions of a held-out side, and how their answers are marked."""

    max_new_tokens: int = Field(128, ge=1)
    """Where an answer is cut that does not end; an exercise whose longest right answer is shorter cuts soon
    behind that."""
    items_per_exercise: int | None = Field(None, ge=1)
    """Ask only so many questions of each exercise, the first ones; None: all."""
    is_stemmed: bool = True
    """ROUGE counts words of one English stem as the same, as papers mostly do."""
    rouge_tokenizer: Literal["ascii", "unicode"] = "unicode"
    """`unicode` knows the words of any script; `ascii` is rouge-score's, for which most scripts have none."""
    num_resamples: int = Field(1_000, ge=1)
    """Bootstrap resamples behind each 95 % interval."""
    seed: int = Field(0, ge=0)
    """Of the resampling and of baselines that guess."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute: `auto` takes a GPU if there is one."""

    def resolved(self) -> Self:
        """The same settings with this machine's device in place of `auto`."""
        return self.model_copy(update={"device": resolve_device(self.device)})


class GateConfig(ScoringConfig):
    """When a challenger takes the champion's place.

    `error_rate` and `looks` make one promise: of all models that a test set ever judges, the chance that one
    is promoted which is no better, or which breaks the limit on older text, is at most `error_rate`.
    """

    error_rate: float = Field(0.05, gt=0, lt=0.5)
    """The chance that a test set ever promotes a model that is no better, over all its looks together."""
    looks: int = Field(52, ge=1)
    """How many challengers one test set may judge: each look spends `error_rate / looks`.

    52 is one a week for a year. Fewer looks need fewer documents to find the same gain.
    """
    min_documents: int = Field(30, ge=2)
    """Documents unlike each other that a verdict takes at least; of fewer nobody knows how they scatter."""
    max_older_loss: float | None = Field(0.01, ge=0, lt=1)
    """The challenger may be worse by this share on text that the champion, too, was held back from.

    None: the loss on older text does not matter.
    """
    max_slowdown: float | None = Field(0.25, ge=0)
    """The challenger may take longer to write a byte by this share; None: as long as it likes."""
    max_growth: float | None = Field(0.1, ge=0)
    """The challenger may have more parameters, or a larger file of weights, by this share; None: any size."""
    prompts: tuple[str, ...] = Field(("The", "She said"), min_length=1)
    """What both models go on from, or answer if they chat, once greedily and once by chance: the challenger
    must have something to say."""
    sample_tokens: int = Field(32, ge=4)
    """Tokens written after each prompt, and in each round that measures speed."""
    temperature: float = Field(0.8, gt=0)
    """Of what is written by chance."""
    speed_rounds: int = Field(25, ge=6)
    """How often both models write in turn to be timed: more rounds narrow the interval of the slowdown."""
    stride: int | None = Field(None, ge=1)
    """How far the window moves: smaller gives each token more context, lower perplexity and more work.

    None: three quarters of the context.
    """
    num_resamples: int = Field(100_000, ge=1)
    """Random changes of sign behind each probability: it is known to a tenth of itself where a hundred of
    them are as extreme."""
    precision: Literal["auto", "bf16", "fp32"] = "fp32"
    """fp32 gives the same digits on more machines; bf16 is faster where the processor has it."""

    @property
    def error_per_look(self) -> float:
        """What each look may spend (Bonferroni): it holds however much the looks depend on each other."""
        return self.error_rate / self.looks

    @model_validator(mode="after")
    def _draws_can_show_the_error(self) -> Self:
        needed = math.ceil(10 / self.error_per_look)
        if self.num_resamples < needed:
            raise ValueError(
                f"num_resamples {self.num_resamples} cannot show the probability {self.error_per_look:.2g} "
                f"that each of {self.looks} looks may spend: take {needed} or more, or fewer looks"
            )
        return self
