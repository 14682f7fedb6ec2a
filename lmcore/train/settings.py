"""How to walk downhill, and what a request to train holds; the model's settings stand beside the model."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from lmcore.batching.settings import MixtureConfig
from lmcore.config import Config
from lmcore.models.settings import TransformerConfig
from lmcore.runtime import resolve_device, resolve_precision
from lmcore.train.schedule import Schedule


class Descent(Config):
    """What every kind of training sets, whatever it learns from."""

    optimizer: Literal["muon", "adamw"] = "muon"
    """The rule for the matrices inside the blocks: muon learns faster per token; all else is AdamW's."""

    weight_decay: float = Field(0.1, ge=0)
    """Decoupled decay of the matrices inside the blocks; embeddings and norms do not decay."""

    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's memory of the gradient and of its square."""

    clip_norm: float = Field(1.0, gt=0)
    """A gradient that is longer than this is scaled back to it."""

    validate_every: int = Field(80, ge=1)
    """Steps between two looks at the validation side; the last step always looks."""

    patience: int | None = Field(None, ge=1)
    """Stop after so many looks in a row without a new best; null never stops early."""

    sample_prompts: tuple[str, ...] = ()
    """Texts that the model continues at each look."""

    sample_tokens: int = Field(48, ge=1)
    """Tokens per sample."""

    sample_temperature: float = Field(0.8, ge=0)
    """0 takes the likeliest token; higher is more varied."""

    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bf16 computes with 16-bit copies of 32-bit master weights; auto takes it where the machine is fast at
    it."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes a GPU if there is one."""

    seed: int = Field(0, ge=0)
    """Chooses the first weights of what is new, the order of what is learned, and the samples."""

    @field_validator("betas")
    @classmethod
    def _forget(cls, betas: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas {betas} must each be at least 0 and less than 1")
        return betas

    def resolved(self) -> Self:
        """The same settings with this machine's device and precision in place of `auto`."""
        device = resolve_device(self.device)
        return self.model_copy(
            update={"device": device, "precision": resolve_precision(self.precision, device)}
        )


class TrainConfig(Descent):
    """How to walk downhill on long text; the model and the text are set elsewhere.

    A run that continues a base has a fresh optimizer and a warm-up of its own: a short one, and a lower peak
    than the base's, keep more of what the base knows.
    """

    steps: int = Field(560, ge=1)
    """Optimizer steps; each sees batch_size windows of the model's context_tokens."""

    batch_size: int = Field(16, ge=1)
    """Windows of text per optimizer step."""

    micro_batch_size: int = Field(4, ge=1)
    """Windows per forward and backward pass; the passes of a batch are spread over the threads and added up
    in order. Smaller fits the CPU's caches, larger fills a GPU."""

    peak_learning_rate: float = Field(1e-2, gt=0)
    """Reached when warm-up ends; then it decays along a cosine."""

    min_learning_rate_share: float = Field(0.05, ge=0, le=1)
    """The learning rate of the last step, as a share of the peak."""

    warmup_steps: int = Field(30, ge=0)
    """Steps over which the learning rate grows from zero to the peak."""

    mixture: MixtureConfig | None = None
    """How much comes from each source, such as {weights: {jane_austen: 3, king_james_bible: 1}} or
    {temperature: 3}; null takes the text as it is."""

    validation_tokens: int | None = Field(32_768, ge=1)
    """Tokens of the validation side that each look scores, spread evenly over it; null scores all of it."""

    sample_prompts: tuple[str, ...] = ("The",)
    """Texts that the model continues at each look."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.warmup_steps >= self.steps and self.steps > 1:
            raise ValueError(
                f"warmup_steps {self.warmup_steps} leaves none of the {self.steps} steps for the decay; "
                f"lower it below {self.steps}"
            )
        if self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"micro_batch_size {self.micro_batch_size} does not divide batch_size {self.batch_size}; "
                f"choose one of {[n for n in range(1, self.batch_size + 1) if self.batch_size % n == 0]}"
            )
        return self

    @property
    def schedule(self) -> Schedule:
        """The learning rate of every step."""
        return Schedule(self.steps, self.warmup_steps, self.peak_learning_rate, self.min_learning_rate_share)


class Request(Config):
    """Where a run puts its product and how it gets there: nothing that changes a bit of it."""

    out: Path
    """The folder to fill; a run that was stopped in it is continued."""

    threads: int = Field(1, ge=1)
    """Threads to compute on; any number gives the same bits."""

    checkpoint_seconds: float = Field(20.0, ge=0)
    """Time between two saves of the working state; 0 saves after every step. It changes no bits."""

    stop_after: int | None = Field(None, ge=1)
    """Stop after this step with the working state saved, as if interrupted there; null runs to the end."""


class PretrainRequest(Request):
    """All that one training run needs: what to train, on what, and where to put it."""

    model: TransformerConfig | None = None
    """What to train; with a base it is the base's, and need not be told."""

    base: Path | None = None
    """A model's folder whose weights the run starts from; null starts from random ones."""

    train: TrainConfig
    """How to train it."""

    shards: Path
    """The folder of token shards to learn from."""

    tokenizer: Path
    """The tokenizer's folder; it must be the one that made the shards."""

    @model_validator(mode="after")
    def _has_something_to_train(self) -> Self:
        if self.model is None and self.base is None:
            raise ValueError("there is nothing to train; give a model, or a base to go on from")
        return self


class ProbeRequest(Config):
    """What a look at this machine's speed needs to know; no data."""

    model: TransformerConfig
    """What would be trained."""

    train: TrainConfig
    """How it would be trained."""

    vocab_size: int = Field(4096, ge=1)
    """Tokens of the vocabulary that it would have."""

    threads: int = Field(1, ge=1)
    """Threads to compute on."""

    steps: int = Field(10, ge=1)
    """Steps to measure."""
