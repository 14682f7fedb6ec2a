"""A base and conversations in, a model that answers out; a run that was interrupted in its folder goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from lmcore.batching.conversations import ConversationBatches
from lmcore.chat.conversation import Conversation, Message
from lmcore.chat.template import END, START, encode_conversation
from lmcore.config import canonical
from lmcore.finetune.adapters.lora import apply_lora, merged
from lmcore.finetune.answers import NUM_EVEN_LANES, AnswerBatches, HeldOutAnswers
from lmcore.finetune.settings import FinetuneConfig, FinetuneRequest
from lmcore.interop.hugging_face import save_folder
from lmcore.interop.peft import save_adapter
from lmcore.lineage import Facts, digest_of, file_digest
from lmcore.tokenizers.tokenizer import Tokenizer
from lmcore.train.base import base_digest, load_base
from lmcore.train.folder import RESUME, complete
from lmcore.train.gradient import Lanes
from lmcore.train.journal import Journals
from lmcore.train.loop import Run
from lmcore.train.optimizer import Optimizer
from lmcore.train.precision import WorkingModel, trained
from lmcore.train.validation import Part, Samples

ADAPTER = "adapter"
FILES = ("train.jsonl", "validation.jsonl")


def finetune(
    request: FinetuneRequest,
    is_stop_wanted: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
) -> Facts:
    """Teach as requested; fill `request.out` with a Hugging Face folder of the best weights, metrics, facts.

    With LoRA the change is merged into that folder's weights, and lies beside them as a PEFT folder. The base
    stays as it is, and so does a finished folder. All files but those under `log/` have the same bytes for
    any number of threads and interruptions.

    Raises:
        ValueError: base or conversations are damaged or do not fit each other, the folder holds another run,
            or the loss became NaN (TrainingError).
        Interrupted: a stop was wanted, or `stop_after` is reached; the same request goes on from there.
    """
    config = request.settings.resolved()
    tokenizer = Tokenizer.load(request.base)
    model = load_base(request.base).to(config.device)
    learning, held_out = (
        ConversationBatches(path, tokenizer, model.config.context_tokens, config.batch_size, config.seed)
        for path in _files(request.conversations)
    )
    schedule = config.schedule(learning.num_conversations)

    def prepare(journals: Journals, lanes: Lanes) -> Run:
        if config.method == "lora":
            markers = [tokenizer.control_id(name) for name in (START, END)]
            apply_lora(model, config.lora, markers, config.seed)
        answers = HeldOutAnswers(held_out, tokenizer, config.pass_tokens, config.validation_conversations)
        return Run(
            config=config,
            schedule=schedule,
            identity=identity,
            model=model,
            working=WorkingModel(model, "fp32" if config.precision == "fp32" else "bf16"),
            optimizer=Optimizer(model, config),
            training=AnswerBatches(
                learning, config.pass_tokens, NUM_EVEN_LANES if config.device == "cpu" else 1
            ),
            validation=[Part(answers)],
            samples=_samples(tokenizer, config),
            lanes=lanes,
            journals=journals,
            resume_folder=request.out / RESUME,
            checkpoint_seconds=request.checkpoint_seconds,
            is_continued=True,
        )

    def save(run: Run) -> Facts:
        num_trained = sum(weight.numel() for weight in trained(run.model).values())
        if config.method == "lora":
            # By its content: where the base lies, and under what name, says nothing elsewhere.
            save_adapter(run.model, config.lora, f"base-{base[:12]}", request.out / ADAPTER)
        save_folder(merged(run.model) if config.method == "lora" else run.model, request.base, request.out)
        _end_answers(request.out, tokenizer)
        return {
            "method": config.method,
            "trained_parameters": num_trained,
            "epochs": learning.epoch(run.step),
            "conversations": learning.num_conversations,
            "conversations_too_long": learning.num_skipped,
            "answer_tokens": learning.num_answer_tokens,
            "validation_conversations": held_out.num_conversations,
            "validation_conversations_too_long": held_out.num_skipped,
        }

    base = base_digest(request.base)
    identity = _identity(request, base, tokenizer, config)
    return complete(request, config.device, identity, prepare, save, is_stop_wanted, progress)


def _identity(request: FinetuneRequest, base: str, tokenizer: Tokenizer, config: FinetuneConfig) -> str:
    """Digest of what decides the bits: settings and data, no paths and no thread count."""
    return digest_of(
        {
            "base": base,
            "tokenizer": tokenizer.digest,
            "settings": canonical(config),
            "conversations": [file_digest(path) for path in _files(request.conversations)],
        }
    )


def _files(conversations: Path) -> list[Path]:
    """What is learned from, and what chooses the best weights."""
    for name in FILES:
        if not (conversations / name).is_file():
            raise ValueError(
                f"{conversations} has no {name}; expected a folder of conversations: {', '.join(FILES)}"
            )
    return [conversations / name for name in FILES]


def _samples(tokenizer: Tokenizer, config: FinetuneConfig) -> Samples:
    """Each prompt is what a user says; the model answers up to the end marker."""

    def ask(text: str) -> list[int]:
        question = Conversation(messages=(Message(role="user", content=text),))
        return encode_conversation(question, tokenizer, add_generation_prompt=True).ids

    return Samples(
        prompts=[(text, ask(text)) for text in config.sample_prompts],
        tokenizer=tokenizer,
        stop_ids=[tokenizer.eos_id, tokenizer.control_id(END)],
        max_tokens=config.sample_tokens,
        temperature=config.sample_temperature,
        seed=config.seed,
    )


def _end_answers(folder: Path, tokenizer: Tokenizer) -> None:
    """Let whoever generates with the folder stop where the model has learned to end an answer."""
    path = folder / "generation_config.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["eos_token_id"] = [tokenizer.eos_id, tokenizer.control_id(END)]
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
