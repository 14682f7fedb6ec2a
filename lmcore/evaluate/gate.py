"""May a challenger take the champion's place? Three words: promote, keep, cannot tell.

The promise is about a whole year, not about one verdict: a test set that judges `looks` challengers promotes
one that is no better with a probability of at most `error_rate`. Each look spends `error_rate / looks`
(Bonferroni), which holds however much the looks depend on each other, as they do on one test set. It holds
for challengers that were not made from what earlier verdicts said: retraining by the clock or because data
came is such, tuning a setting until the gate opens is not (Blum and Hardt 2015). The probability is over the
choice of documents, see `sign_flip`; whether another training run of the recipe would do as well is not
asked.

Every check has to be shown. So the chance to promote a model that is no better *or* too much worse on older
text is that of one test, not the sum of two (an intersection-union test, Berger 1982). An inconclusive guard
is no pass: the champion stays, and the sentence says what would tell.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from lmcore.evaluate.challenge import FILE
from lmcore.evaluate.gate_checks import (
    Check,
    check_older,
    check_size,
    check_smoke,
    check_speed,
    check_target,
)
from lmcore.evaluate.paired_scores import read_scores
from lmcore.evaluate.settings import GateConfig

Word = Literal["promote", "keep", "cannot tell"]


class Decision(NamedTuple):
    """What the gate says of a challenger."""

    word: Word
    """promote: every check is passed. keep: one has failed. cannot tell: neither; the champion stays."""
    sentence: str
    checks: tuple[Check, ...]
    look_number: int
    error_rate: float
    """What this look spent of the promise: 0 where nothing was compared."""
    documents: int
    documents_needed: int | None
    """About how many more documents would tell, where that is what is missing."""

    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        return {**self._asdict(), "checks": [check._asdict() for check in self.checks]}


def decide(challenge: Path, settings: GateConfig, look_number: int) -> Decision:
    """What the folder that `challenge.challenge` filled says of the challenger.

    Args:
        look_number: which challenger this is that the test set judges, from 1.

    Raises:
        ValueError: the folder holds no challenge, or the number is below 1.
    """
    if look_number < 1:
        raise ValueError(f"look number {look_number}: the first look at a test set is number 1")
    told = _read(challenge)
    has_champion = "champion" in told["models"]
    scores = read_scores(challenge, told["kind"], has_champion=has_champion)
    smoke = check_smoke(told)
    if not has_champion:
        return _first(smoke, look_number, len(scores.digests))
    checks = (
        check_target(scores, told["metric"], settings, look_number),
        check_older(scores.older, told["metric"], settings),
        check_speed(challenge, told, settings),
        check_size(told, settings),
        smoke,
    )
    word, sentence = _conclude(checks)
    spent = checks[0].numbers["error_rate"]
    needed = next((check.documents_needed for check in checks if check.word == "cannot tell"), None)
    return Decision(
        word, sentence, checks, look_number, spent, len(scores.digests),
        needed if word == "cannot tell" else None,
    )  # fmt: skip


def begins_anew(judged_before: Collection[str], documents: Collection[str]) -> bool:
    """Whether a test set is another one, whose looks are counted from 1: more than half of it is new.

    Args:
        judged_before: digests of the documents at the first look of the present count. Not those of the last
            look: a test set that grows a little each time would never be another one, or always.

    Each count of its own has an error rate of its own: two test sets in a year may err twice as often.
    """
    new = set(documents) - set(judged_before)
    return 2 * len(new) > len(set(documents))


def _first(smoke: Check, look_number: int, documents: int) -> Decision:
    """Where nobody serves, a model that writes is better than none."""
    word: Word = "promote" if smoke.word == "passed" else "keep"
    sentence = f"{word}: nobody serves yet; {smoke.sentence}"
    return Decision(word, sentence, (smoke,), look_number, 0.0, documents, None)


def _conclude(checks: Sequence[Check]) -> tuple[Word, str]:
    """The sentence is that of the first check that decides; the others are named."""
    ends: tuple[tuple[Word, str, str], ...] = (
        ("keep", "failed", "failed as well"),
        ("cannot tell", "cannot tell", "not shown either"),
        ("promote", "passed", "passed as well"),
    )
    for word, of_check, said in ends:
        if found := [check for check in checks if check.word == of_check]:
            first, *others = found
            names = ", ".join(check.name for check in others)
            return word, f"{word}: {first.sentence}" + (f"; {said}: {names}" if others else "")
    raise AssertionError("the target is never off")


def _read(folder: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads((folder / FILE).read_bytes())
        if isinstance(told, dict) and {"kind", "metric", "models"} <= set(told):
            return told
    except (OSError, ValueError):
        pass
    raise ValueError(f"{folder} has no readable {FILE}; expected the folder of a challenge")
