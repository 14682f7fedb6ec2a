"""The best model beside the best of what it has to beat: baselines, the untouched base, a control."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.report.facts import RunFacts
from tasks.report.judging import Entry, Word, fixed, is_lower_better, judge
from tasks.report.sections.comparison import is_control

Marks = Mapping[str, Entry]
"""By model or baseline."""
REVERSED: dict[Word, Word] = {"better": "worse", "worse": "better", "cannot tell": "cannot tell"}
BASE = "base"


@dataclass(frozen=True)
class Names:
    """Who took an exam."""

    models: list[str]
    baselines: list[str]
    rivals: set[str]
    """What the models have to beat."""
    short: dict[str, str] = field(default_factory=dict)
    """How each is shown."""

    def role(self, name: str) -> str:
        """`baseline`, `to beat`, or empty for those that are to beat them."""
        return "baseline" if name in self.baselines else "to beat" if name in self.rivals else ""

    def shown(self, name: str) -> str:
        return self.short.get(name, name)


def names_in(run: RunFacts, document: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]) -> Names:
    """Tell models from baselines, and those that are to be beaten from those that are to beat them.

    The base is a model that another one in the exam was made from, or is called so.
    """
    marked = [each for exercise in document["exercises"].values() for each in exercise["metrics"].values()]
    everybody = list(dict.fromkeys(name for marks in marked for name in marks))
    told = document.get("choice", {}).get("scores", {}) or (answers[0]["answers"] if answers else {})
    models = [name for name in everybody if name in told]
    baselines = [name for name in everybody if name not in told] if told else []
    parents = {name for model in models if (step := run.models.get(model)) for _, name in step.inputs()}
    beaten = {name for name in models if name in parents or is_control(name) or run.short(name) == BASE}
    short = {name: run.short(name) for name in models} | {name: name.replace("_", " ") for name in baselines}
    return Names(models, baselines, beaten.union(baselines), short)


def rivalry(exercise: Mapping[str, Any], names: Names) -> list[tuple[str, str]]:
    """What the main metric (all of them, where none is named) says, with its word; none without rivals."""
    main = exercise.get("main_metric")
    found = []
    for metric in [main] if main else exercise["metrics"]:
        marks = exercise["metrics"][metric]
        sign = -1.0 if is_lower_better(metric) else 1.0
        worth = {who: sign * entry["value"] for who, entry in marks.items() if entry["value"] is not None}
        ours = [who for who in worth if who in names.models and who not in names.rivals]
        rivals = [who for who in worth if who in names.rivals]
        if ours and rivals:
            best, rival = (max(each, key=lambda who: worth[who]) for each in (ours, rivals))
            word = _word(exercise.get("differences", {}).get(metric, {}), best, rival, metric)
            found.append(_sentence(names, metric, marks, best, rival, word, worth[best] > worth[rival]))
    return found


def spelled(metric: str) -> str:
    """`exact match`, `ROUGE-L`: metrics as people write them, also inside a sentence."""
    words = re.sub(r"\brouge[-_ ]?(\w)", lambda found: f"ROUGE-{found[1].upper()}", metric)
    return words.replace("_", " ")


def _word(differences: Marks, best: str, rival: str, metric: str) -> Word | None:
    """What their difference says of the model; None where nobody worked it out."""
    lower = is_lower_better(metric)
    if forth := differences.get(f"{best} - {rival}"):
        return judge(forth, lower_is_better=lower)
    if back := differences.get(f"{rival} - {best}"):
        return REVERSED[judge(back, lower_is_better=lower)]
    return None


def _sentence(
    names: Names, metric: str, marks: Marks, best: str, rival: str, word: Word | None, is_ahead: bool
) -> tuple[str, str]:
    ours, theirs = names.shown(best), names.shown(rival)
    our_mark, their_mark = fixed(marks[best]["value"]), fixed(marks[rival]["value"])
    told = f"{spelled(metric)} {our_mark} against {their_mark}"
    if word == "worse" or (word is None and not is_ahead):
        back = f"{spelled(metric)} {their_mark} against {our_mark} of {ours}, the best of them"
        return "beaten", f"{theirs} does at least as well as every model: {back}."
    if word is None:
        known = "no interval of this difference is known"
        return "note", f"{ours} is ahead of {theirs}, the best of what it has to beat: {told}; {known}."
    verb = "beats" if word == "better" else "cannot be told from"
    return word, f"{ours} {verb} {theirs}, the best of what it has to beat: {told}."
