"""In plain words: what was made, when, how long it took, what it cost, what was reused, what it is worth."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tasks.report.facts import NOT_REACHED, RunFacts, StepFacts
from tasks.report.judging import listed
from tasks.report.sections.comparison import statements
from tasks.report.sections.exam import exam
from tasks.report.sections.scores import model_of, verdict_on
from tasks.words import count, duration, size

VERBS = {"pretrain": "pretrained", "continue": "trained further", "finetune": "finetuned", "merge": "merged"}
NAMED = 3
"""Models that one sentence of the headline names."""
WORDS = ("better", "worse", "cannot tell", "beaten")
"""Verdicts that have a colour; all others are notes."""
SIDES = ("train", "validation", "test")
STATISTICS = "statistics.json"


@dataclass(frozen=True)
class Tile:
    """One figure of the run."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Headline:
    """The top of the page."""

    title: str
    lead: str
    tiles: list[Tile]
    verdicts: list[tuple[str, str]]
    """(alarm, better, worse, cannot tell, beaten or note; sentence)."""


def headline(run: RunFacts) -> Headline:
    """Always there."""
    return Headline(_title(run), _lead(run), _tiles(run), _verdicts(run))


def registrations(run: RunFacts) -> list[tuple[str, str, StepFacts]]:
    """(`demo@champion`, name of the model, step) of each registration.

    The model is known by its bytes: a gate may have chosen it among several.
    """
    digests = {step.manifest.digest: name for name, step in run.models.items() if step.manifest}
    found = []
    for step in run.holding("registration.json"):
        entry = step.document("registration.json")
        model = digests.get(entry.get("digest", "")) or model_of(run, step)
        found.append((step.called or f"{entry['name']}@{entry['alias']}", model, step))
    return found


def _title(run: RunFacts) -> str:
    """What the run came to, the last thing first."""
    if entries := registrations(run):
        return listed([_entitled(run, name, model) for name, model, _ in entries])
    if run.models:
        return _models(run)
    if corpora := run.named("split_corpus"):
        return f"A corpus of {_documents(corpora[-1]):,} documents"
    return f"{run.flow.replace('_', ' ')} of {run.experiment}"


def _entitled(run: RunFacts, name: str, model: str) -> str:
    """`demo@champion is the model slerp-0.5`; its size, where the model has no other name."""
    if name.partition("@")[0] != model:
        return f"{name} is the model {run.short(model)}"
    facts = step.manifest.facts if (step := run.models.get(model)) and step.manifest else {}
    parameters = facts.get("parameters")
    return f"{name} is a model of {parameters:,} parameters" if isinstance(parameters, int) else name


def _models(run: RunFacts) -> str:
    """`15 models: 4 pretrained, 2 finetuned, 9 merged`."""
    verbs = [step.step.partition("_")[0] for step in run.models.values()]
    told = [f"{number} {VERBS.get(verb, verb)}" for verb, number in Counter(verbs).items()]
    if len(run.models) == 1:
        (name,) = run.models
        return f"One model, {VERBS.get(verbs[0], verbs[0])}: {run.short(name)}"
    return f"{len(run.models)} models: {', '.join(told)}"


def _documents(step: StepFacts) -> int:
    facts = step.manifest.facts if step.manifest else {}
    return sum(int(facts.get(f"{side}_documents", 0)) for side in SIDES)


def _lead(run: RunFacts) -> str:
    told = []
    title = _title(run)
    if run.models and title != _models(run):
        told.append(_models(run))
    corpora = run.named("split_corpus")
    if corpora and not title.startswith("A corpus"):
        documents = sum(_documents(step) for step in corpora)
        sources = len(run.named("ingest_source"))
        told.append(
            f"from {documents:,} documents of {count(sources, 'source')}"
            if sources
            else f"from {documents:,} documents"
        )
    words = ", ".join(told) or f"{count(len(run.steps), 'step')} of {run.flow.replace('_', ' ')}"
    missing = [step for step in run.steps if step.state == NOT_REACHED]
    end = f"; the run ended before {count(len(missing), 'step')} of it" if missing else ""
    return f"{words[0].upper()}{words[1:]}{end}."


def _tiles(run: RunFacts) -> list[Tile]:
    made = [step for step in run.steps if step.is_made]
    kept = [step for step in run.steps if step.state in ("reused", "restored")]
    tiles = [
        Tile("finished", f"{run.finished.day} {run.finished:%b %Y}", f"{run.finished:%H:%M %Z}".strip()),
        Tile("took", duration(run.seconds), _longest(run, made)),
    ]
    if made:
        processor = sum(step.cost("cpu_seconds") for step in made)
        memory = max(step.cost("peak_memory") for step in made)
        disk = sum(step.manifest.size for step in made if step.manifest)
        tiles.append(Tile("processor time", duration(processor), f"{size(memory)} of memory at the peak"))
        tiles.append(Tile("written", size(disk), count(len(made), "product")))
    then = f"took {duration(sum(step.cost('seconds') for step in kept))} when they were made" if kept else ""
    tiles.append(Tile("reused", f"{len(kept)} of {count(len(run.steps), 'step')}", then))
    return tiles


def _longest(run: RunFacts, made: list[StepFacts]) -> str:
    if not made:
        return "nothing had to be made"
    step = max(made, key=lambda each: each.cost("seconds"))
    return f"longest: {step.step.replace('_', ' ')} {run.short(step.name)}, {duration(step.cost('seconds'))}"


def _verdicts(run: RunFacts) -> list[tuple[str, str]]:
    found = [*_alarms(run), *_told(run)]
    comparisons = [step.document("comparison.json") for step in run.holding("comparison.json")]
    for document in [each for each in comparisons if each["side"] == "test"] or comparisons:
        found += statements(run, document, NAMED)
    exams = exam(run)
    for each in [each for each in exams if each.side == "test"] or exams:
        for exercise in each.exercises:
            name = f"{exercise.name} (recall)" if exercise.claim == "recall" else exercise.name
            found += [(word, f"{name}: {sentence}") for word, sentence in exercise.statements]
    reports = {model_of(run, step): step for step in run.holding("scores.json")}
    registered = [model for _, model, _ in registrations(run)]
    for name in [name for name in registered if name in reports] or list(reports)[:1]:
        found.append(verdict_on(reports[name].document("scores.json"), run.short(name)))
    return found


def _alarms(run: RunFacts) -> list[tuple[str, str]]:
    """Sources that lost too many of their documents."""
    rows = (row for step in run.holding(STATISTICS) for row in step.document(STATISTICS).get("alarms", ()))
    return [("alarm", str(row["sentence"])) for row in rows]


def _told(run: RunFacts) -> list[tuple[str, str]]:
    """What gates say of themselves: a fact `sentence`, and in `verdict` its word."""
    found = []
    for step in run.steps:
        facts = step.manifest.facts if step.manifest else {}
        if sentence := facts.get("sentence"):
            word = str(facts.get("verdict", "note"))
            # A verdict speaks of "it": several in one run would read alike.
            told = f"{run.short(step.name)}: {sentence}" if step.has("verdict.json") else str(sentence)
            found.append((word if word in WORDS else "note", told))
    return found
