"""What a challenger has to show: each check by itself, in a word, numbers and a sentence.

A check is passed only where it is shown that its condition holds. `cannot tell` is no pass: what nobody has
shown is not assumed. `failed` says that the contrary was shown. Wrong passes are what the error rate counts;
a wrong `failed` promotes nothing, and so spends nothing of it: there a plain `error_rate` has to do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from lmcore.evaluate.paired_scores import PairedScores
from lmcore.evaluate.settings import GateConfig
from lmcore.evaluate.sign_flip import ADVERSE, documents_to_tell, sign_flip
from lmcore.evaluate.slowdown import read_slowdown

_RECKONED = f"reckoning with {ADVERSE} more documents to the contrary"
"""How probabilities are meant, see `sign_flip`."""
Word = Literal["passed", "failed", "cannot tell", "off"]


class Check(NamedTuple):
    """One condition of a release."""

    name: Literal["target", "older text", "speed", "size", "smoke"]
    word: Word
    sentence: str
    numbers: dict[str, Any]
    documents_needed: int | None = None
    """About how many more documents would tell, where that is what is missing."""


def check_target(scores: PairedScores, metric: str, settings: GateConfig, look_number: int) -> Check:
    """Better than the champion on documents that neither has seen; it spends `error_per_look`."""
    numbers = _count(scores) | {"look": look_number, "error_rate": 0.0}
    if stop := _cannot_score(scores, "target"):
        return stop._replace(numbers=numbers | stop.numbers)
    told = f"{_compare(scores, metric)} on {_documents(scores)} that neither has seen"
    losses, weights = scores.losses()
    if not np.any(losses):
        return Check("target", "failed", f"{told}: the same on each of them, so that nothing is won", numbers)
    if look_number > settings.looks:
        spent = (
            f"this test set has judged {settings.looks} challengers, and its error rate of "
            f"{settings.error_rate:g} is spent: with more than half new documents it begins anew, "
            "or set `looks` higher"
        )
        return Check("target", "cannot tell", f"{told}, but {spent}", numbers)
    dials = {"num_draws": settings.num_resamples, "seed": settings.seed}
    p_better, p_worse = sign_flip(losses, weights, **dials), sign_flip(-losses, weights, **dials)
    numbers |= {"p_better": p_better, "p_worse": p_worse}
    spends = f"look {look_number} of {settings.looks} may spend {settings.error_per_look:.2g}"
    if len(losses) < settings.min_documents:
        return _needs_documents(Check("target", "cannot tell", told, numbers), losses, weights, settings)
    numbers["error_rate"] = settings.error_per_look
    leads = f"{_RECKONED}, noise would lead by as much with probability {p_better:.2g}, and {spends}"
    lags = f"{_RECKONED}, noise would fall behind as far with probability {p_worse:.2g}"
    if p_better <= settings.error_per_look:
        return Check("target", "passed", f"{told}; {leads}", numbers)
    if p_worse <= settings.error_rate:
        return Check("target", "failed", f"{told}; {lags}", numbers)
    check = Check("target", "cannot tell", f"{told}, but {leads if losses.sum() < 0 else lags}", numbers)
    return _needs_documents(check, losses, weights, settings)


def check_older(scores: PairedScores, metric: str, settings: GateConfig) -> Check:
    """Not worse by more than `max_older_loss` on what the champion's own held-out side had (non-inferiority).

    Tested like the target, at the same error and against c = (1 + limit) m: both have to hold, so that the
    chance to promote what should not be is no greater than that of either (Berger 1982).
    """
    limit = settings.max_older_loss
    if limit is None:
        return Check("older text", "off", "older text: no limit is set", {})
    numbers = _count(scores) | {"limit": limit}
    if stop := _cannot_score(scores, "older text"):
        sentence = f"older text: {stop.sentence}, or set max_older_loss to null"
        return stop._replace(sentence=sentence, numbers=numbers | stop.numbers)
    allowed = f"at most {_percent(limit)} worse is allowed"
    told = f"older text: {_compare(scores, metric)} on {_documents(scores)}; {allowed}"
    losses, weights = scores.losses(limit)
    dials = {"num_draws": settings.num_resamples, "seed": settings.seed}
    p_within, p_beyond = sign_flip(losses, weights, **dials), sign_flip(-losses, weights, **dials)
    numbers |= {"p_within": p_within, "p_beyond": p_beyond}
    is_enough = len(losses) >= settings.min_documents
    if is_enough and p_within <= settings.error_per_look:
        return Check("older text", "passed", f"{told}, and that is shown", numbers)
    if is_enough and p_beyond <= settings.error_rate:
        return Check("older text", "failed", f"{told}, and it is more", numbers)
    how = "is not shown" if is_enough else "so few cannot show"
    check = Check("older text", "cannot tell", f"{told}, which {how}, and so no pass", numbers)
    return _needs_documents(check, losses, weights, settings, "older ", ", or a higher max_older_loss")


def check_speed(folder: Path, told: Mapping[str, Any], settings: GateConfig) -> Check:
    """Takes no more than `max_slowdown` longer for a byte: the whole interval of the median lies below.

    The word alone is told, so that a verdict that is made again says the same; the clock's figures stay where
    they were measured.
    """
    limit = settings.max_slowdown
    if limit is None:
        return Check("speed", "off", "speed: no limit is set", {})
    measured = read_slowdown(folder, told["models"])
    if measured is None:
        return Check("speed", "cannot tell", "speed: never measured here; make the challenge again", {})
    word: Word = (
        "passed" if measured["high"] <= limit else "failed" if measured["low"] > limit else "cannot tell"
    )
    ends = {
        "passed": "and that is shown",
        "failed": "and it is more",
        "cannot tell": "which is not shown, and so no pass: measure again where less else is going on",
    }
    allowed = f"speed: at most {_percent(limit)} more time for a byte is allowed"
    return Check("speed", word, f"{allowed}, {ends[word]}", {"limit": limit})


def check_size(told: Mapping[str, Any], settings: GateConfig) -> Check:
    """No more than `max_growth` more parameters, or bytes of weights."""
    limit = settings.max_growth
    if limit is None:
        return Check("size", "off", "size: no limit is set", {})
    before, after = (told["models"][name] for name in ("champion", "challenger"))
    numbers = {
        f"{name}_{what}": told["models"][name][what]
        for name in ("champion", "challenger")
        for what in ("parameters", "weight_bytes")
    }
    growth = max(after[what] / max(before[what], 1) - 1 for what in ("parameters", "weight_bytes"))
    word: Word = "passed" if growth <= limit else "failed"
    sentence = (
        f"size: {after['parameters']:,} against {before['parameters']:,} parameters, "
        f"{after['weight_bytes']:,} against {before['weight_bytes']:,} bytes of weights; "
        f"at most {_percent(limit)} more is allowed"
    )
    return Check("size", word, sentence, numbers | {"growth": growth, "limit": limit})


def check_smoke(told: Mapping[str, Any]) -> Check:
    """Writes text behind every prompt, and every logit on the way is a number."""
    smoke = told["models"]["challenger"]["smoke"]
    silent = smoke["silent"]
    if not smoke["is_finite"]:
        sentence = "smoke generation: the challenger's logits are not finite"
    elif silent:
        behind = ", ".join(f"'{prompt}'" for prompt in silent)
        sentence = f"smoke generation: nothing, or one token over and over, behind {behind}"
    else:
        sentence = f"smoke generation: text behind all of {smoke['prompts']} prompts"
    word: Word = "passed" if smoke["is_finite"] and not silent else "failed"
    return Check("smoke", word, sentence, dict(smoke))


def _count(scores: PairedScores) -> dict[str, Any]:
    """Counts, scores and their difference."""
    numbers = scores.summary()
    return numbers | {"relative": _relative(scores)}


def _cannot_score(scores: PairedScores, name: Literal["target", "older text"]) -> Check | None:
    """What there is to say where there are no two scores to compare."""
    if not len(scores.digests):
        which = "neither model has seen" if name == "target" else "the champion's held-out side had, too"
        return Check(name, "cannot tell", f"there is no document that {which}; hold out more", {})
    if scores.score("challenger") is None:
        broken = int(np.count_nonzero(~np.isfinite(scores.challenger)))
        sentence = f"the challenger's score is not finite on {broken} of {_documents(scores)}; it is broken"
        return Check(name, "failed", sentence, {})
    if scores.score("champion") is None:
        sentence = "the champion's score is not finite; it is broken: roll back, or promote by hand"
        return Check(name, "cannot tell", sentence, {})
    return None


def _needs_documents(
    check: Check, losses: Any, weights: Any, settings: GateConfig, kind: str = "", otherwise: str = ""
) -> Check:
    """The check with how many more documents would tell behind its sentence."""
    needed = documents_to_tell(losses, weights, settings.error_per_look)
    least, told = settings.min_documents, check.sentence
    if needed is None and len(losses) >= least:
        is_ahead = losses.sum() < 0
        close, behind = "the two are too close for any number of documents", "more documents hardly help"
        why = close if is_ahead else behind
        return check._replace(sentence=f"{told}; {why}{otherwise}")
    more = _rounded_up(max(needed or 0, least) - len(losses))
    few = f"; at least {least} are wanted" if len(losses) < least else ""
    sentence = f"{told}{few}; needs about {more:,} more {kind}documents{otherwise}"
    return check._replace(sentence=sentence, documents_needed=more)


def _rounded_up(number: int) -> int:
    """To two digits: nobody knows it better than that."""
    scale = 10 ** max(0, len(str(number)) - 2)
    return math.ceil(number / scale) * scale


def _relative(scores: PairedScores) -> float | None:
    theirs, ours = scores.score("champion"), scores.score("challenger")
    return ours / theirs - 1 if ours is not None and theirs else None


def _compare(scores: PairedScores, metric: str) -> str:
    """`1.5120 against 1.5170 bits per byte (0.33 % better)`."""
    theirs, ours = scores.score("champion"), scores.score("challenger")
    assert theirs is not None and ours is not None
    is_better = ours < theirs if scores.kind == "nats" else ours > theirs
    far = _percent(abs(ours / theirs - 1)) if scores.kind == "nats" else f"{abs(ours - theirs):.4f}"
    how = "equal" if ours == theirs else f"{far} {'better' if is_better else 'worse'}"
    return f"{ours:.4f} against {theirs:.4f} {metric} ({how})"


def _documents(scores: PairedScores) -> str:
    number, unlike = len(scores.digests), scores.num_unlike
    told = f"{number:,} document{'' if number == 1 else 's'}"
    if unlike < number:
        told += f", {unlike:,} of them unlike each other,"
    effective = scores.num_effective
    return f"{told} (as good as {effective:.0f} of equal size)" if effective < unlike / 2 else told


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 1 else f"{100 * share:,.0f} %"
