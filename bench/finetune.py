"""LoRA finetuning against TRL and PEFT: the same base, conversations, ranks, rates and precision.

    OMP_WAIT_POLICY=PASSIVE python bench/finetune.py BASE CONVERSATIONS [STEPS]

BASE is a model's folder, CONVERSATIONS a folder such as data/conversations/demo. Where other processes run,
both sides gain by the variable.

One process, the two in turn on all cores, tokens per second of whole steps; padding is no token. The peer
runs as its manual advises for speed: rows of like length, no recomputed activations, a base that is stored in
bfloat16 or cast on the way, whichever is faster here. It is spared the chat markers' rows, which ours trains
too: its loss in pieces cannot. Above 1 ours is faster.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import torch
from peft import LoraConfig as PeftConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from transformers.utils import logging
from trl import SFTConfig, SFTTrainer

from lmcore.batching.conversations import ConversationBatches
from lmcore.chat.template import END, START
from lmcore.finetune.adapters.lora import apply_lora
from lmcore.finetune.answers import NUM_EVEN_LANES, AnswerBatches
from lmcore.finetune.settings import FinetuneConfig
from lmcore.runtime import usable_cores
from lmcore.tokenizers.tokenizer import Tokenizer
from lmcore.train.base import load_base
from lmcore.train.gradient import batch_gradient, open_lanes
from lmcore.train.optimizer import Optimizer, clip_gradients
from lmcore.train.precision import WorkingModel

ROUNDS = 3
SETTINGS = FinetuneConfig(method="lora", device="cpu", precision="bf16")


def ours(base: Path, conversations: ConversationBatches, markers: list[int], steps: int) -> Iterator[float]:
    """Tokens per second of every step but the first."""
    model = load_base(base)
    apply_lora(model, SETTINGS.lora, markers, SETTINGS.seed)
    working, optimizer = WorkingModel(model, "bf16"), Optimizer(model, SETTINGS)
    batches = AnswerBatches(conversations, SETTINGS.pass_tokens, NUM_EVEN_LANES)
    with open_lanes(usable_cores()) as lanes:
        for step in range(steps):
            began = time.perf_counter()
            batch = batches.batch(step)
            _, gradients = batch_gradient(working, batch, lanes)
            clip_gradients(gradients, SETTINGS.clip_norm)
            optimizer.update(gradients, SETTINGS.peak_learning_rate, lanes)
            working.refresh()
            if step:
                yield batch.num_tokens / (time.perf_counter() - began)


class Meter(TrainerCallback):  # type: ignore[misc]
    """The clock at the end of every step."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.perf_counter())


def theirs(base: Path, conversations: ConversationBatches, steps: int, dtype: torch.dtype) -> Iterator[float]:
    """Tokens per second of every step but the first."""
    everything = conversations.everything()
    rows = [
        {"input_ids": ids, "completion_mask": [int(each) for each in learned], "length": len(ids)}
        for ids, learned in everything
    ]
    lora = PeftConfig(
        r=SETTINGS.lora.rank,
        lora_alpha=SETTINGS.lora.alpha,
        target_modules=list(SETTINGS.lora.targets),
        task_type="CAUSAL_LM",
    )
    meter, seen = Meter(), []
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(base, dtype=dtype),
            processing_class=AutoTokenizer.from_pretrained(base),
            train_dataset=datasets.Dataset.from_list(rows),
            peft_config=lora,
            callbacks=[meter],
            args=SFTConfig(
                output_dir=folder,
                max_steps=steps,
                per_device_train_batch_size=SETTINGS.batch_size,
                learning_rate=SETTINGS.peak_learning_rate,
                lr_scheduler_type="constant",
                weight_decay=SETTINGS.weight_decay,
                max_length=None,
                train_sampling_strategy="group_by_length",
                gradient_checkpointing=False,
                bf16=True,
                use_cpu=True,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
                dataloader_pin_memory=False,
            ),
        )
        trainer.remove_callback(PrinterCallback)
        collate = trainer.data_collator

        def counted(features: list[Any]) -> Any:
            seen.append(sum(len(each["input_ids"]) - 1 for each in features))
            return collate(features)

        trainer.data_collator = counted
        trainer.train()
    for number in range(1, steps):
        yield seen[number] / (meter.ends[number] - meter.ends[number - 1])


def main(base: Path, folder: Path, steps: int = 8) -> None:
    tokenizer = Tokenizer.load(base)
    markers = [tokenizer.control_id(name) for name in (START, END)]
    context_tokens = load_base(base).config.context_tokens
    conversations = ConversationBatches(
        folder / "train.jsonl", tokenizer, context_tokens, SETTINGS.batch_size, seed=0
    )
    torch.set_num_threads(usable_cores())
    speeds: dict[str, list[float]] = {"ours": [], "stored": [], "cast": []}
    for _ in range(ROUNDS):
        speeds["ours"] += ours(base, conversations, markers, steps)
        speeds["stored"] += theirs(base, conversations, steps, torch.bfloat16)
        speeds["cast"] += theirs(base, conversations, steps, torch.float32)
    median = {name: statistics.median(each) for name, each in speeds.items()}
    peer = max(median["stored"], median["cast"])
    print(f"ours         {median['ours']:8,.0f} tokens/s")
    print(f"TRL and PEFT {median['stored']:8,.0f} tokens/s with the base stored in bfloat16")
    print(f"TRL and PEFT {median['cast']:8,.0f} tokens/s with the base cast on the way")
    print(f"ratio to the faster one: {median['ours'] / peer:.2f}")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
