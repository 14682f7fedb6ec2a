"""How a model is taught to answer; how it walks downhill is set as in pretraining."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from lmcore.finetune.adapters.settings import LoraConfig
from lmcore.train.schedule import Schedule
from lmcore.train.settings import Descent, Request

PEAKS = {"full": 1e-3, "lora": 5e-3}
"""Learning rates that suit models of a few million parameters."""


class FinetuneConfig(Descent):
    """What to train of a base, how long and how fast; base and conversations are set elsewhere."""

    method: Literal["full", "lora"] = "full"
    """full moves all weights of the base; lora leaves them and learns a small change beside them."""

    lora: LoraConfig = LoraConfig()
    """The size of that change; of no meaning where all weights move."""

    epochs: float = Field(2.0, gt=0)
    """How often each conversation is learned from; the steps follow from it."""

    batch_size: int = Field(16, ge=1)
    """Conversations per optimizer step; each answer's tokens weigh the same, whoever's answer it is."""

    pass_tokens: int = Field(1024, ge=1)
    """Tokens per forward and backward pass; the passes of a batch are spread over the threads and added up in
    order. Smaller fits the CPU's caches, larger fills a GPU."""

    optimizer: Literal["muon", "adamw"] = "adamw"
    """The rule for the matrices inside the blocks; all else is AdamW's."""

    peak_learning_rate: float = Field(default_factory=lambda fields: PEAKS[fields["method"]], gt=0)
    """Reached when warm-up ends; then it decays along a cosine. Default: 0.001, with lora 0.005."""

    min_learning_rate_share: float = Field(0.05, ge=0, le=1)
    """The learning rate of the last step, as a share of the peak."""

    warmup_share: float = Field(0.05, ge=0, lt=1)
    """The share of the steps over which the learning rate grows from zero to the peak."""

    weight_decay: float = Field(0.01, ge=0)
    """Decoupled decay of the matrices inside the blocks, or of their change; embeddings do not decay."""

    validate_every: int = Field(50, ge=1)
    """Steps between two looks at the validation side; the last step always looks."""

    validation_conversations: int | None = Field(256, ge=1)
    """Conversations of the validation side that each look scores, spread evenly over it; null takes all."""

    sample_tokens: int = Field(64, ge=1)
    """Tokens per sample."""

    sample_temperature: float = Field(0.0, ge=0)
    """0 takes the likeliest token; higher is more varied."""

    def schedule(self, num_conversations: int) -> Schedule:
        """The learning rate of every step of a run over so many conversations."""
        steps = max(1, round(self.epochs * num_conversations / self.batch_size))
        warmup_steps = min(round(self.warmup_share * steps), steps - 1)
        return Schedule(steps, warmup_steps, self.peak_learning_rate, self.min_learning_rate_share)


class FinetuneRequest(Request):
    """All that one finetuning needs: what to start from, what to learn from, and where to put it."""

    base: Path
    """The model's folder to start from; its tokenizer knows the markers of a chat."""

    conversations: Path
    """The folder of conversations: train.jsonl to learn from, validation.jsonl to choose the best by."""

    settings: FinetuneConfig
    """What to train, and how."""
