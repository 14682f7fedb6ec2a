"""Each condition of a release as a question that anybody would ask, and what came out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tasks.report.drawing.intervals import axis_cell, interval_cell, scale_for
from tasks.report.judging import fixed
from tasks.words import count, size

QUESTIONS = {
    "target": "Is it better on text that neither has learned from?",
    "older text": "Is it no worse on the older part of that text?",
    "speed": "Does it write about as fast?",
    "size": "Is it about as large?",
    "smoke": "Does it write at all?",
}
TONES = {"passed": "better", "failed": "worse"}


@dataclass(frozen=True)
class Row:
    """One check."""

    name: str
    question: str
    word: str
    """passed, failed, cannot tell or off."""
    champion: str
    challenger: str
    axis: Markup | None
    plot: Markup | None
    what: str
    """What the picture shows."""
    answer: str
    """In plain words."""
    told: str
    """The gate's own sentence."""


def row_of(check: Mapping[str, Any], kind: str, metric: str) -> Row:
    """A check of `verdict.json`.

    Args:
        kind: `nats` (of which less is better) or `marks`.
        metric: in words, such as `bits per byte`.
    """
    name, numbers = check["name"], check["numbers"]
    draw = {"target": _difference, "older text": _difference, "speed": _slowdown}.get(name, _nothing)
    axis, plot, what = draw(check, metric)
    answer = {"target": _target, "older text": _older, "speed": _speed, "size": _size, "smoke": _smoke}
    champion, challenger = _pair(name, numbers)
    return Row(
        name,
        QUESTIONS.get(name, name),
        check["word"],
        champion,
        challenger,
        axis,
        plot,
        what,
        answer[name](check, kind, metric) if name in answer else check["sentence"],
        check["sentence"],
    )


def chance(probability: float) -> str:
    """`about once in 1,000 times`, `about 30 times in 100`; a probability as people count."""
    if probability >= 0.1:
        return f"about {round(probability * 100)} times in 100"
    return f"about once in {_rounded(1 / probability):,} times"


def _rounded(number: float) -> int:
    """To two digits."""
    scale = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return round(number / scale) * scale


def share(value: float | None) -> str:
    """`3.4 %`, `0.12 %`; two digits that count."""
    if value is None:
        return "–"
    percent = abs(value) * 100
    return (
        f"{percent:.0f} %"
        if percent >= 9.95
        else f"{percent:.1f} %"
        if percent >= 0.95
        else f"{percent:.2g} %"
    )


def _pair(name: str, numbers: Mapping[str, Any]) -> tuple[str, str]:
    def spell(suffix: str, form: Any) -> tuple[str, str]:
        values = [numbers.get(f"{who}{suffix}") for who in ("champion", "challenger")]
        return tuple("–" if value is None else form(value) for value in values)  # type: ignore[return-value]

    if name in ("target", "older text"):
        return spell("", lambda value: fixed(value, 4))
    if name == "speed" and "value" in numbers:
        return "1", f"{1 + numbers['value']:.2f}"
    if name == "size":
        return spell("_weight_bytes", size)
    return "", ""


# -- pictures -------------------------------------------------------------------------------------------


def _nothing(check: Mapping[str, Any], metric: str) -> tuple[None, None, str]:
    return None, None, ""


def _difference(check: Mapping[str, Any], metric: str) -> tuple[Markup | None, Markup | None, str]:
    numbers = check["numbers"]
    difference = numbers.get("difference")
    if not difference:
        return None, None, ""
    scale = scale_for([difference], zero=True)
    words = f"challenger less champion: {fixed(difference['value'], 4)} {metric}"
    plot = interval_cell(difference, scale, words, TONES.get(check["word"], "cannot-tell"), at=0.0)
    return axis_cell(scale, signed=True, about=3), plot, f"difference in {metric}"


def _slowdown(check: Mapping[str, Any], metric: str) -> tuple[Markup | None, Markup | None, str]:
    numbers = check["numbers"]
    if "value" not in numbers:
        return None, None, ""
    entry = {bound: 100 * numbers[bound] for bound in ("value", "low", "high")}
    limit = {"value": 100 * numbers["limit"]}
    scale = scale_for([entry, limit], zero=True)
    words = f"longer for a byte: {entry['value']:+.0f} %, limit {limit['value']:.0f} %"
    plot = interval_cell(entry, scale, words, TONES.get(check["word"], "cannot-tell"), at=limit["value"])
    return axis_cell(scale, signed=True, about=3), plot, "% more time; dashed: the limit"


# -- words ----------------------------------------------------------------------------------------------


def _target(check: Mapping[str, Any], kind: str, metric: str) -> str:
    numbers = check["numbers"]
    if "p_better" not in numbers:
        return check["sentence"][:1].upper() + check["sentence"][1:] + "."
    lead = f"{_lead(numbers, kind, metric)} on {count(numbers['documents'], 'document')}."
    if check["word"] == "failed":
        return f"{lead} Chance alone would put it as far behind {chance(numbers['p_worse'])}."
    if not numbers["error_rate"]:
        return f"{lead} That is too few documents to say more." if check["documents_needed"] else lead
    asked = f"the gate asks for a lead that chance gives less than {chance(numbers['error_rate'])[6:]}"
    if check["word"] == "passed":
        return (
            f"{lead} Were it no better, chance would give such a lead {chance(numbers['p_better'])}; {asked}."
        )
    return f"{lead} Were it no better, chance would give as much {chance(numbers['p_better'])}, and {asked}."


def _lead(numbers: Mapping[str, Any], kind: str, metric: str) -> str:
    """`38 % fewer bits per byte`, `0.203 more accuracy`."""
    relative = numbers.get("relative")
    if kind == "marks" and numbers.get("difference"):
        value = numbers["difference"]["value"]
        return (
            f"{abs(value):.3f} {'more' if value > 0 else 'less'} {metric}" if value else f"The same {metric}"
        )
    if not relative:
        return f"The same {metric}" if relative == 0 else "Not to be compared"
    return f"{share(relative)} {'more' if relative > 0 else 'fewer'} {metric}"


def _older(check: Mapping[str, Any], kind: str, metric: str) -> str:
    numbers = check["numbers"]
    if check["word"] == "off":
        return "Nobody asked: no limit is set."
    if "difference" not in numbers or "limit" not in numbers or "p_within" not in numbers:
        return check["sentence"].removeprefix("older text: ")[:1].upper() + check["sentence"][13:] + "."
    value, relative = numbers["difference"]["value"], numbers["relative"]
    how = "worse" if (value > 0) == (kind == "nats") else "better"
    far = f"{abs(value):.3f}" if relative is None else share(relative)  # there is no share of a score of 0
    told = f"{far} {how}" if value else "Equal"
    on = f"on {count(numbers['documents'], 'document')} that were held out when the champion was made"
    limit = f"up to {share(numbers['limit'])} worse would be allowed"
    ends = {"passed": "and it is shown to be within that", "failed": "and it is shown to be beyond that"}
    how = "so few cannot show" if check["documents_needed"] else "is not shown"
    end = ends.get(check["word"], f"which {how}, so it does not count as passed")
    return f"{told} {on}; {limit}, {end}."


def _speed(check: Mapping[str, Any], kind: str, metric: str) -> str:
    numbers = check["numbers"]
    if "value" not in numbers:
        return "Nobody asked: no limit is set." if check["word"] == "off" else "It was not measured here."
    slower = numbers["value"] > 0
    told = f"{share(numbers['value'])} {'more' if slower else 'less'} time for a byte"
    bounds = f"between {numbers['low'] * 100:+.0f} and {numbers['high'] * 100:+.0f} %".replace("-", "−")
    rounds = f"over {count(numbers['rounds'], 'round')} in turns on this machine"
    return f"{told} ({bounds}, {rounds}); up to {share(numbers['limit'])} more is allowed."


def _size(check: Mapping[str, Any], kind: str, metric: str) -> str:
    numbers = check["numbers"]
    if "growth" not in numbers:
        return "Nobody asked: no limit is set."
    before, after = numbers["champion_parameters"], numbers["challenger_parameters"]
    told = (
        f"{after:,} parameters, as before" if before == after else f"{after:,} parameters, {before:,} before"
    )
    return f"{told}; up to {share(numbers['limit'])} more would be allowed."


def _smoke(check: Mapping[str, Any], kind: str, metric: str) -> str:
    numbers = check["numbers"]
    if not numbers["is_finite"]:
        return "No: its numbers overflow, so it is broken."
    if numbers["silent"]:
        named = ", ".join(f"“{prompt}”" for prompt in numbers["silent"])
        return f"Nothing, or one piece of a word over and over, came behind {named}."
    return f"Text came behind each of {count(numbers['prompts'], 'prompt')}."
