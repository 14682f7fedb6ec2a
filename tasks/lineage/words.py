"""What each step does, and how its numbers are written, for readers who have not written it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tasks.lineage.graph import Node
from tasks.words import size


class StepWords(NamedTuple):
    """A step to a reader from outside."""

    product: str
    """What it makes, such as `Tokenizer`."""
    sentence: str
    """What it does."""


STEPS = {
    "ingest_source": StepWords(
        "Raw documents",
        "The files of one source were read into documents, word for word. What could not be read was kept "
        "apart, with the reason.",
    ),
    "clean_documents": StepWords(
        "Clean documents",
        "Spelling of letters and blank lines were made uniform, what cleaners were asked for was mended, and "
        "each document was measured.",
    ),
    "filter_documents": StepWords(
        "Filtered documents",
        "Documents whose measurements break a rule were named, with the rule, the value and its limit.",
    ),
    "deduplicate_documents": StepWords(
        "Distinct documents",
        "Copies and near copies were named. Documents that resemble each other were noted as a family, so "
        "that a family is never split between learning and measuring.",
    ),
    "find_repeats": StepWords(
        "Repeated passages",
        "Passages that stand elsewhere word for word were named, to be cut out where they stand again.",
    ),
    "hold_out_conversations": StepWords(
        "Held-out conversations",
        "Those of the user's own conversations were taken that models are examined on, so that documents "
        "which hold them can be named.",
    ),
    "decontaminate_documents": StepWords(
        "Contaminated documents",
        "Documents that hold text which models are tested with were named, with the words in common.",
    ),
    "split_corpus": StepWords(
        "Corpus",
        "What was named before was left out, and each document was put on one of three sides: "
        "train (to learn from), validation (to choose by), test "
        "(to measure by, at the end). A document that had a side before kept it.",
    ),
    "train_tokenizer": StepWords(
        "Tokenizer",
        "A vocabulary of pieces of words was learnt from the train side alone. Text reaches the model as "
        "numbers of these pieces, called tokens.",
    ),
    "embed_words": StepWords(
        "Word vectors",
        "A vector for each word was learnt from the words around it on the train side, and from these one "
        "for each document. They serve to look into the corpus; no model is made from them.",
    ),
    "write_shards": StepWords(
        "Token shards", "The documents of each side were written as tokens, ready for training."
    ),
    "write_conversations": StepWords(
        "Conversations",
        "Questions and answers were made from the corpus, or taken from conversations of the user's own. "
        "Those made from a document are on that document's side.",
    ),
    "pretrain_model": StepWords(
        "Pretrained model",
        "A model with random weights was trained to predict the next token of the train side. The state that "
        "did best on the validation side was kept.",
    ),
    "continue_training": StepWords(
        "Continued training",
        "A model was trained further on the train side, with a mixture of the sources that may be another.",
    ),
    "finetune_model": StepWords(
        "Finetuned model", "A model was taught to answer, by the train side of conversations."
    ),
    "merge_models": StepWords(
        "Merged model",
        "The weights of several models were combined into one by a formula; no text was read for it.",
    ),
    "evaluate_model": StepWords("Scores of a model", "A model was measured on the test side."),
    "compare_models": StepWords("Comparison", "Models were measured side by side on the same documents."),
    "examine_models": StepWords("Examination", "Models answered the same questions, and were marked."),
    "describe_corpus": StepWords("Statistics", "Documents, characters and words of the corpus were counted."),
    "choose_model": StepWords("Choice", "The best of several models was taken, by the validation side."),
    "register_model": StepWords("Registration", "A chosen model became a version in the registry."),
    "promote_challenger": StepWords("Release", "A verdict on a registered version was noted and acted on."),
    "compare_variants": StepWords("Sweep", "Variants of a run were put side by side."),
}
OUTCOMES = {
    "ingest_source": "{documents} documents, {rejected} could not be read",
    "clean_documents": "{documents} documents, {rejected} empty",
    "filter_documents": "{documents} documents kept, {rejected} refused",
    "deduplicate_documents": "{documents} documents kept, {rejected} removed",
    "split_corpus": "{train_documents} to learn from, {validation_documents} to choose by, "
    "{test_documents} to measure by",
    "train_tokenizer": "{vocab_size} pieces",
    "embed_words": "vectors of {words} words and {documents} documents",
    "write_shards": "{train_tokens} tokens to learn from",
    "write_conversations": "{train_conversations} to learn from, {test_conversations} to measure by",
    "pretrain_model": "{parameters} parameters, {steps} steps over {tokens} tokens",
    "continue_training": "{steps} steps over {tokens} tokens",
    "finetune_model": "{conversations} conversations, method {method}",
    "merge_models": "method {method}, {parameters} parameters",
    "evaluate_model": "{bits_per_byte} bits per byte on {documents} documents",
    "choose_model": "{chosen}",
    "register_model": "{registered_as}",
}
"""What came of a step in a few words, from its facts."""
NO_SCORES = ("_low", "_high", "minus_reference", "/choice")
"""Ends of names that tell of another score; `choice` is the one chosen by, under its own name too."""
DIGEST = re.compile(r"^[0-9a-f]{32,}$")
_LONGEST = 160


def words_on(step: str) -> StepWords:
    """What a step does; of a step that is not listed here, its own docstring."""
    if step in STEPS:
        return STEPS[step]
    from tasks.engine.step import known_steps

    told = (known_steps[step].function.__doc__ or "") if step in known_steps else ""
    return StepWords(step.replace("_", " ").capitalize(), told.strip().partition("\n")[0])


class Score(NamedTuple):
    """A number on the test side, with its interval where it has one."""

    name: str
    value: float
    low: float | None
    high: float | None


def scores_in(scores: Mapping[str, float]) -> list[Score]:
    """The numbers of a registered version that stand for themselves."""
    return [
        Score(plain(name.removeprefix("test/")), value, scores.get(f"{name}_low"), scores.get(f"{name}_high"))
        for name, value in scores.items()
        if not name.endswith(NO_SCORES)
    ]


def title_of(node: Node) -> str:
    """`Tokenizer`."""
    if node.is_source:
        return "Source"
    return words_on(node.step).product if node.manifest else "A product that is gone"


def entitled(node: Node) -> str:
    """`Tokenizer demo`."""
    return f"{title_of(node)} {node.name}"


def outcome_of(step: str, facts: Mapping[str, Any]) -> str:
    """What came of it, such as `52 to learn from, 7 to choose by, 10 to measure by`; empty if unknown."""
    try:
        return OUTCOMES.get(step, "").format_map({name: value_in_words(each) for name, each in facts.items()})
    except KeyError:
        return ""


def plain(name: str) -> str:
    """`bits_per_byte` as `bits per byte`."""
    return name.replace("_", " ")


def value_in_words(value: Any) -> str:
    """A setting or a fact: numbers with thousands apart, digests short, long texts cut."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.5g}"
    if isinstance(value, list):
        text = ", ".join(map(value_in_words, value)) or "none"
    else:
        text = value[:12] if isinstance(value, str) and DIGEST.match(value) else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def flat_settings(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of each setting: `model.width` and so on; `settings.` in front says nothing."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from flat_settings(item, f"{path}.{name}" if path and path != "settings" else name)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value, start=1):
            yield from flat_settings(item, f"{path}[{number}]")
    elif path:
        yield path, value


def memory_in_words(number: Any) -> str:
    """`210 MB`; nothing for what was not measured."""
    return size(float(number)) if isinstance(number, int | float) else ""
