"""Everything that is on the page of a verdict, in the order of a reader's questions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.report.judging import fixed
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
    advice: list[str]
    metric: str
    is_less_better: bool
    names: dict[str, str]
    """`champion` and `challenger` as `v1`, `v2`."""
    facts: list[tuple[str, str]]
    sentence: str
    when: str


def gather(
    product: Path, *, settings: Mapping[str, Any], registration: Path, version: int | None, when: str
) -> Judged:
    """Read a verdict's folder.

    Raises:
        OSError, ValueError: a file of it does not read.
    """
    challenge = json.loads((product / "challenge.json").read_text(encoding="utf-8"))
    lines = (product / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    return Judged(
        verdict=json.loads((product / "verdict.json").read_text(encoding="utf-8")),
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
        advice=_advice(verdict),
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
            f"No version of {verdict['model']} was serving, so there was nothing to compare {names['challenger']} "
            f"with. It was asked to write; its scores on {documents} are noted for the next one."
        )
    told = (
        f"Before a new version may serve, it is measured beside the one that does: here {names['challenger']} beside "
        f"{names['champion']}, on {documents} that neither has learned from."
    )
    failed = [check["name"] for check in verdict["checks"] if check["word"] == "failed"]
    open_ = [check["name"] for check in verdict["checks"] if check["word"] == "cannot tell"]
    ends = {
        "promote": "It passed every check.",
        "keep": f"It failed: {', '.join(failed)}.",
        "cannot tell": f"Not shown either way: {', '.join(open_)}. What is not shown does not count as passed.",
    }
    return f"{told} {ends[verdict['word']]}"


def _tiles(judged: Judged) -> list[tuple[str, str, str]]:
    verdict, challenge = judged.verdict, judged.challenge
    less = "less is better" if challenge["kind"] == "nats" else "more is better"
    whole, tiles = challenge["all"], []
    for who in ("champion", "challenger"):
        if whole.get(who) is not None:
            tiles.append((f"{who}, {_names(judged)[who]}", fixed(whole[who], 4), f"{challenge['metric']}, {less}"))
    relative = _relative(whole)
    if relative is not None:
        better = (relative < 0) == (challenge["kind"] == "nats")
        tiles.append(("difference", f"{share(relative)} {'better' if better else 'worse'}", _bounds(whole)))
    unlike, documents = whole.get("unlike"), whole["documents"]
    note = "all unlike each other" if unlike == documents else f"{unlike:,} of them unlike each other"
    tiles.append(("documents", f"{documents:,}", note if documents else "nothing to measure on"))
    if verdict["documents_needed"]:
        tiles.append(("would tell", f"about {verdict['documents_needed']:,}", "more documents"))
    return tiles


def _relative(whole: Mapping[str, Any]) -> float | None:
    theirs, ours = whole.get("champion"), whole.get("challenger")
    return ours / theirs - 1 if theirs and ours is not None else None


def _bounds(whole: Mapping[str, Any]) -> str:
    difference = whole.get("difference") or {}
    low, high = difference.get("low"), difference.get("high")
    if low is None or high is None or not whole["champion"]:
        return ""
    shares = [100 * bound / whole["champion"] for bound in (low, high)]
    return f"95 % interval {shares[0]:+.2g} % to {shares[1]:+.2g} %".replace("-", "−")


def _advice(verdict: Mapping[str, Any]) -> list[str]:
    """What would tell, or what to do now."""
    model, found = verdict["model"], []
    if verdict["word"] == "promote":
        found.append(f"lm rollback {model} goes back to what served before, should it disappoint.")
        return found
    if needed := verdict["documents_needed"]:
        found.append(
            f"Hold out about {needed:,} more documents: add texts to the sources, or raise split.test_share. If the "
            "next documents are like these, that many would tell with a probability of 80 %."
        )
    for check in verdict["checks"]:
        if check["word"] in ("cannot tell", "failed"):
            found += ADVICE.get((check["name"], check["word"]), [])
    return found


ADVICE = {
    ("target", "failed"): ["It is worse on new text. Look at what changed: lm diff MODEL@champion MODEL@challenger."],
    ("older text", "failed"): ["It has lost some of what it knew. Keep more of the older text in the mixture."],
    ("older text", "cannot tell"): ["Or allow more loss on older text: gate.max_older_loss."],
    ("speed", "cannot tell"): ["Measure the speed again where less else is going on."],
    ("speed", "failed"): ["It is too slow for gate.max_slowdown. A smaller model is faster."],
    ("size", "failed"): ["It is too large for gate.max_growth."],
    ("smoke", "failed"): ["It does not write. Something in its training is broken; look at its losses."],
}


def _facts(judged: Judged, names: Mapping[str, str]) -> list[tuple[str, str]]:
    verdict, models = judged.verdict, judged.challenge["models"]
    rows = [("verdict in the gate's own words", verdict["sentence"])]
    for who, model in models.items():
        digest = (verdict[who] or {}).get("digest", "")
        told = f"digest {digest[:12]}, {model['parameters']:,} parameters, {model['vocab_size']:,} tokens known"
        rows.append((f"{who}, {names[who]}", f"{told}, context of {model['context_tokens']:,}"))
    definition = judged.challenge.get("definition", {})
    rows += [(name.replace("_", " "), text) for name, text in definition.items() if isinstance(text, str)]
    wanted = ("error_rate", "looks", "min_documents", "max_older_loss", "max_slowdown", "max_growth")
    dials = [f"{name} {judged.settings[name]}" for name in wanted if name in judged.settings]
    rows.append(("settings of the gate", ", ".join(dials)))
    return [row for row in rows if row[1]]
