"""What the models wrote after the same prompts, side by side; and answers to the exam, right and wrong."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.report.facts import RunFacts, StepFacts
from tasks.report.sections.dial import parents_of, place_on_dial
from tasks.report.sections.scores import model_of

MOST_LETTERS = 700
"""Of one text on the page."""
NEEDED = {"prompt", "temperature", "text"}


@dataclass(frozen=True)
class Prompt:
    """One prompt, and what each model made of it."""

    prompt: str
    how: str
    texts: list[tuple[str, str]]
    """(model, text)."""


def samples(run: RunFacts) -> list[Prompt]:
    """By prompt and temperature, the text of each model that was let write."""
    written: dict[tuple[str, float], list[tuple[str, str]]] = {}
    reports = sorted(_reports(run), key=lambda step: _order(run, model_of(run, step)))
    for step in reports:
        for row in step.lines("samples.jsonl"):
            texts = written.setdefault((row["prompt"], float(row["temperature"])), [])
            texts.append((run.short(model_of(run, step)), clipped(row["text"])))
    return [Prompt(prompt, _how(temperature), texts) for (prompt, temperature), texts in written.items()]


def clipped(text: str, most: int = MOST_LETTERS) -> str:
    """The beginning of a long text."""
    return text if len(text) <= most else text[:most].rstrip() + " …"


def _reports(run: RunFacts) -> list[StepFacts]:
    """Reports with samples; a model's own samples from its training stand with its curve."""
    return [
        step
        for step in run.holding("samples.jsonl")
        if not step.has("model.safetensors")
        and all(row.keys() >= NEEDED for row in step.lines("samples.jsonl"))
    ]


def _order(run: RunFacts, name: str) -> tuple[int, str, float]:
    """The rest in the order of the flow, then along the dial: one parent, the merges, the other parent."""
    if place := place_on_dial(run, name):
        return (2, *place)
    merges = [model for model in run.models if place_on_dial(run, model)]
    first, second = next((ends for model in merges if (ends := parents_of(run, model))), ("", ""))
    return {first: 1, second: 3}.get(name, 0), "", 0.0


def _how(temperature: float) -> str:
    return f"by chance, temperature {temperature:g}" if temperature else "the likeliest token each time"
