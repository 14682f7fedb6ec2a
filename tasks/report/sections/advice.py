"""What the numbers suggest, each by a rule that is told; the worst documents; what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tasks.report.facts import RunFacts, StepFacts
from tasks.report.judging import fixed, listed
from tasks.report.sections.comparison import more_documents
from tasks.report.sections.headline import registrations
from tasks.report.sections.scores import model_of
from tasks.report.sections.training import losses
from tasks.words import count

STILL_FALLING = 0.005
"""Share of the loss by which the last look has to be the better one."""
EARLY_SHARE, RISE = 0.8, 0.01
"""A best step before this share of all, after which the loss rose by this share of itself."""
MANY_REJECTED = 0.1
FEW_DOCUMENTS = 30
MOST_WORST = 5


@dataclass(frozen=True)
class Suggestion:
    """What to do, and the rule and numbers that it follows from."""

    do: str
    because: str


@dataclass(frozen=True)
class Worst:
    """A held-out document that a model finds hard."""

    title: str
    place: str
    bits: str
    bytes: str


@dataclass(frozen=True)
class Advice:
    """The section."""

    commands: list[tuple[str, str]]
    suggestions: list[Suggestion]
    worst_of: str
    worst: list[Worst]


def advice(run: RunFacts) -> Advice:
    """Always there: at least what to type."""
    suggestions = [*_on_training(run), *_on_comparisons(run), *_on_data(run)]
    of, worst = _worst(run)
    return Advice(_commands(run), suggestions, of, worst)


def _commands(run: RunFacts) -> list[tuple[str, str]]:
    commands = []
    for name, _, step in registrations(run):
        prompt = step.settings().get("settings", {}).get("example_prompt", "The")
        commands.append((f"lm generate {shlex.quote(name)} --prompt {shlex.quote(prompt)}", "let it write"))
        commands.append((f"lm lineage {shlex.quote(name)}", "every file that it was made from"))
    commands.append(("lm up", "runs, models and plots in your browser"))
    commands.append(("lm list", "all products and registered models"))
    commands.append(
        (f"lm plan {run.flow} {shlex.quote(run.experiment)}", "what another run would do, and why")
    )
    return commands


def _on_training(run: RunFacts) -> Iterator[Suggestion]:
    for step in run.holding("metrics.jsonl"):
        looks = losses(step.lines("metrics.jsonl"), "validation_loss")
        if len(looks) >= 3:
            yield from _on_looks(run.short(step.name), looks)


def _on_looks(name: str, looks: list[tuple[float, float]]) -> Iterator[Suggestion]:
    (_, before), (last_step, last) = looks[-2], looks[-1]
    best_step, best = min(looks, key=lambda look: look[1])
    if best_step == last_step and before - last >= STILL_FALLING * last:
        yield Suggestion(
            f"Train {name} for longer.",
            f"Its validation loss was still falling at the last look: {fixed(before)} to {fixed(last)} "
            f"at step {last_step:.0f}, by {(before - last) / last:.1%} (rule: {STILL_FALLING:.1%} or more).",
        )
    if best_step < EARLY_SHARE * last_step and last - best >= RISE * best:
        yield Suggestion(
            f"Train {name} for fewer steps, or on more text.",
            f"It overfits: the best validation loss, {fixed(best)}, was at step {best_step:.0f} of "
            f"{last_step:.0f}, and it rose to {fixed(last)} (rule: best before {EARLY_SHARE:.0%} of the "
            f"steps, then up by {RISE:.0%} or more).",
        )


def _on_comparisons(run: RunFacts) -> Iterator[Suggestion]:
    for step in run.holding("comparison.json"):
        document = step.document("comparison.json")
        asked = more_documents(document)
        if asked:
            reference, has = run.short(document["reference"]), document["documents"]["all"]
            told = listed([f"{run.short(name)} about {number:,}" for name, number in asked.items()])
            yield Suggestion(
                "Hold out more documents, or leave the question open.",
                f"With {has:,} of them these cannot be told from {reference}: {told} would be needed if "
                "the difference stays what it is (rule: an interval narrows with the root of their number).",
            )


def _on_data(run: RunFacts) -> Iterator[Suggestion]:
    for step in run.holding("statistics.json"):
        statistics = step.document("statistics.json")
        for row in statistics["sources"]:
            if row["rejected_share"] >= MANY_REJECTED:
                yield _on_rejected(row, statistics["rejected"])
        tested = sum(row["documents"] for row in statistics["sides"] if row["side"] == "test")
        if 0 < tested < FEW_DOCUMENTS:
            yield Suggestion(
                "Take the intervals with care, or hold out more.",
                f"{count(tested, 'document')} on the test side (rule: a bootstrap over fewer than "
                f"{FEW_DOCUMENTS} is too sure of itself).",
            )


def _on_rejected(row: dict[str, Any], rejected: list[dict[str, Any]]) -> Suggestion:
    rules = sorted(
        (each for each in rejected if each["source"] == row["source"]), key=lambda each: -each["documents"]
    )
    told = (
        f"; most by the rule {rules[0]['rule'].replace('_', ' ')} ({rules[0]['documents']:,})"
        if rules
        else ""
    )
    return Suggestion(
        f"Look at what was rejected of {row['source']}.",
        f"{row['rejected']:,} of {row['rejected'] + row['kept']:,} documents, "
        f"{row['rejected_share']:.0%}{told} (rule: {MANY_REJECTED:.0%} or more).",
    )


def _worst(run: RunFacts) -> tuple[str, list[Worst]]:
    """Of the registered model's evaluation if there is one, else of the first."""
    reports = [step for step in run.holding("documents.parquet") if step.has("scores.json")]
    if not reports:
        return "", []
    registered = {model for _, model, _ in registrations(run)}
    report = next((step for step in reports if model_of(run, step) in registered), reports[0])
    return run.short(model_of(run, report)), _hardest(report)


def _hardest(report: StepFacts) -> list[Worst]:
    import pyarrow.parquet as pq

    assert report.folder
    columns = ["title", "source", "file", "line", "bits_per_byte", "bytes"]
    table = pq.read_table(report.folder / "documents.parquet", columns=columns)
    order = table.sort_by([("bits_per_byte", "descending")]).slice(0, MOST_WORST).to_pylist()
    return [
        Worst(
            str(row["title"] or "without a title"),
            f"{row['source']}/{row['file']}, line {row['line']}",
            fixed(row["bits_per_byte"], 2),
            f"{row['bytes']:,}",
        )
        for row in order
    ]
