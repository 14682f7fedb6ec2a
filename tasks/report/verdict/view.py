"""Everything that is on the page of a verdict, in the order of a reader's questions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from lmcore.evaluate.slowdown import read_slowdown
from tasks.report.judging import fixed, listed, signed
from tasks.report.verdict.checks import Row, row_of, share
from tasks.report.verdict.documents import Documents, documents_of, samples_of
from tasks.report.verdict.looks import Looks, looks_of
from tasks.words import count

TITLES = {
    ("promote", True): "{challenger} takes the place of {champion}",
    ("promote", False): "{challenger} serves: it is the first",
    ("keep", True): "{champion} stays: {challenger} did not pass",
    ("keep", False): "{challenger} may not serve",
    ("cannot tell", True): "{champion} stays: it cannot be told whether {challenger} is better",
}


PLAIN = {"target": "new text", "smoke": "writing at all"}
"""Names of checks that do not speak for themselves."""


@dataclass(frozen=True)
class Judged:
    """A verdict with the files behind it."""

    verdict: Mapping[str, Any]
    challenge: Mapping[str, Any]
    samples: Sequence[Mapping[str, Any]]
    documents: Documents | None
    settings: Mapping[str, Any]
    """Of the gate."""
    version: int | None
    """The challenger's."""
    when: str


@dataclass(frozen=True)
class View:
    """The page."""

    model: str
    word: str
    title: str
    lead: str
    tiles: list[tuple[str, str, str]]
    """(label, value, note)."""
    checks: list[Row]
    looks: Looks | None
    documents: Documents | None
    samples: list[dict[str, Any]]
    advice: list[Markup]
    metric: str
    is_less_better: bool
    names: dict[str, str]
    """`champion` and `challenger` as `v1`, `v2`."""
    facts: list[tuple[str, str]]
    sentence: str
    when: str


def read_verdict(product: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The verdict and the challenge that it is about, with the speed as the clock measured it.

    Raises:
        OSError, ValueError: a file of them does not read.
    """
    verdict = json.loads((product / "verdict.json").read_text(encoding="utf-8"))
    challenge = json.loads((product / "challenge.json").read_text(encoding="utf-8"))
    measured = read_slowdown(product, challenge["models"])
    for check in verdict["checks"]:
        if check["name"] == "speed" and check["word"] != "off":
            check["numbers"] |= measured or {}
    return verdict, challenge


def gather(
    product: Path, *, settings: Mapping[str, Any], registration: Path, version: int | None, when: str
) -> Judged:
    """Read a verdict's folder.

    Raises:
        OSError, ValueError: a file of it does not read.
    """
    verdict, challenge = read_verdict(product)
    lines = (product / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    return Judged(
        verdict=verdict,
        challenge=challenge,
        samples=[json.loads(line) for line in lines if line.strip()],
        documents=documents_of(product, challenge, registration),
        settings=settings,
        version=version,
        when=when,
    )


def view_of(judged: Judged) -> View:
    """The page of a verdict."""
    verdict, challenge = judged.verdict, judged.challenge
    kind, metric, word = challenge["kind"], challenge["metric"], verdict["word"]
    names = _names(judged)
    has_champion = verdict["champion"] is not None
    form = TITLES.get((word, has_champion), "{challenger}: {word}")
    return View(
        model=verdict["model"],
        word=word,
        title=form.format(**{who: f"{verdict['model']} {name}" for who, name in names.items()}, word=word),
        lead=_lead(judged, names),
        tiles=_tiles(judged),
        checks=[row_of(check, kind, metric) for check in verdict["checks"]],
        looks=looks_of(verdict, judged.settings),
        documents=judged.documents,
        samples=samples_of(judged.samples),
        advice=[coded(sentence.replace("MODEL", verdict["model"])) for sentence in _advice(verdict)],
        metric=metric,
        is_less_better=kind == "nats",
        names=names,
        facts=_facts(judged, names),
        sentence=verdict["sentence"],
        when=judged.when[:16].replace("T", " "),
    )


def _names(judged: Judged) -> dict[str, str]:
    champion = judged.verdict["champion"]
    return {
        "champion": f"v{champion['version']}" if champion else "nobody",
        "challenger": f"v{judged.version}" if judged.version else "the new version",
    }


def _lead(judged: Judged, names: Mapping[str, str]) -> str:
    verdict, documents = judged.verdict, count(judged.verdict["documents"], "document")
    if verdict["champion"] is None:
        return (
            f"No version of {verdict['model']} was serving, so there was nothing to compare "
            f"{names['challenger']} with. It was asked to write; its scores on {documents} are noted."
        )
    told = (
        "Before a new version may serve, it is measured beside the one that does: here "
        f"{names['challenger']} beside {names['champion']}, on {documents} that neither has learned from."
    )
    failed, open_ = (
        [PLAIN.get(check["name"], check["name"]) for check in verdict["checks"] if check["word"] == word]
        for word in ("failed", "cannot tell")
    )
    ends = {
        "promote": "It passed every check.",
        "keep": f"It failed on {listed(failed)}." if failed else "It did not pass.",
        "cannot tell": f"On {listed(open_)} nothing is shown either way, and what is not shown is not passed."
        if open_
        else "",
    }
    return f"{told} {ends[verdict['word']]}"


def _tiles(judged: Judged) -> list[tuple[str, str, str]]:
    verdict, challenge = judged.verdict, judged.challenge
    less = "less is better" if challenge["kind"] == "nats" else "more is better"
    whole, tiles = challenge["all"], []
    for who in ("champion", "challenger"):
        if whole.get(who) is not None:
            tiles.append(
                (f"{who}, {_names(judged)[who]}", fixed(whole[who], 4), f"{challenge['metric']}, {less}")
            )
    if whole.get("difference"):
        tiles.append(("difference", _difference(challenge), _bounds(challenge)))
    unlike, documents = whole.get("unlike"), whole["documents"]
    note = "all unlike each other" if unlike == documents else f"{unlike:,} of them unlike each other"
    tiles.append(("documents", f"{documents:,}", note if documents else "nothing to measure on"))
    if verdict["documents_needed"]:
        tiles.append(("would tell", f"about {verdict['documents_needed']:,}", "more documents"))
    return tiles


def _difference(challenge: Mapping[str, Any]) -> str:
    """`3.8 % worse` of bits, `0.20 better` of marks, which lie between 0 and 1 as it is."""
    value, champion = challenge["all"]["difference"]["value"], challenge["all"]["champion"]
    is_bits = challenge["kind"] == "nats"
    if not value:
        return "none"
    word = "better" if (value < 0) == is_bits else "worse"
    return f"{share(value / champion)} {word}" if is_bits and champion else f"{abs(value):.3f} {word}"


def _bounds(challenge: Mapping[str, Any]) -> str:
    difference, champion = challenge["all"]["difference"], challenge["all"]["champion"]
    low, high = difference.get("low"), difference.get("high")
    if low is None or high is None:
        return ""
    if challenge["kind"] == "nats" and champion:
        return f"95 % interval {signed(100 * low / champion, 1)} % to {signed(100 * high / champion, 1)} %"
    return f"95 % interval {signed(low)} to {signed(high)}"


def _advice(verdict: Mapping[str, Any]) -> list[str]:
    """What would tell, or what to do now."""
    model, found = verdict["model"], []
    if verdict["word"] == "promote":
        back = f"`lm rollback {model}` goes back to what served before, should it disappoint."
        return [back] if verdict["champion"] else []
    if needed := verdict["documents_needed"]:
        found.append(
            f"Hold out about {needed:,} more documents: add texts to the sources, or raise "
            "`split.test_share`. If the next documents are like these, that many would tell with a "
            "probability of 80 %."
        )
    elif any((check["name"], check["word"]) == ("target", "cannot tell") for check in verdict["checks"]):
        is_spent = verdict["look_number"] > verdict["looks"]
        found.append(SPENT if is_spent else CLOSE)
    for check in verdict["checks"]:
        if check["word"] in ("cannot tell", "failed"):
            found += ADVICE.get((check["name"], check["word"]), [])
    return found


CLOSE = (
    "More documents would hardly tell the two apart: they are too close, or the new one is behind. A real "
    "change to data, size or training would."
)
SPENT = (
    "The error rate of this test set is spent. Hold out new documents: with more than half of them new, its "
    "looks are counted from 1 again. Or say in `gate.looks` how many challengers it is to judge in all."
)
ADVICE = {
    ("target", "failed"): [
        "It is worse on new text. Look at what changed: `lm diff MODEL@champion MODEL@challenger`."
    ],
    ("older text", "failed"): [
        "It has lost some of what it knew. Keep more of the older text in the mixture."
    ],
    ("older text", "cannot tell"): ["Or allow more loss on older text: `gate.max_older_loss`."],
    ("speed", "cannot tell"): ["Measure the speed again where less else is going on."],
    ("speed", "failed"): ["It is too slow for `gate.max_slowdown`. A smaller model is faster."],
    ("size", "failed"): ["It is too large for `gate.max_growth`."],
    ("smoke", "failed"): ["It does not write. Something in its training is broken; look at its losses."],
}


def _facts(judged: Judged, names: Mapping[str, str]) -> list[tuple[str, str]]:
    verdict, models = judged.verdict, judged.challenge["models"]
    rows = [("verdict in the gate's own words", verdict["sentence"])]
    for who, model in models.items():
        digest = (verdict[who] or {}).get("digest", "")
        told = (
            f"digest {digest[:12]}, {model['parameters']:,} parameters, {model['vocab_size']:,} tokens known"
        )
        rows.append((f"{who}, {names[who]}", f"{told}, context of {model['context_tokens']:,}"))
    definition = judged.challenge.get("definition", {})
    rows += [(name.replace("_", " "), text) for name, text in definition.items() if isinstance(text, str)]
    wanted = ("error_rate", "looks", "min_documents", "max_older_loss", "max_slowdown", "max_growth")
    dials = [f"{name} {judged.settings[name]}" for name in wanted if name in judged.settings]
    rows.append(("settings of the gate", ", ".join(dials)))
    return [row for row in rows if row[1]]


def coded(text: str) -> Markup:
    """What stands between backticks as code."""
    parts = text.split("`")
    spelled = (
        Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(parts)
    )
    return Markup("").join(spelled)
