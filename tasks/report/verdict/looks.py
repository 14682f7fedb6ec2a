"""How much of a test set's error rate is spent: every look at it costs a part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tasks.report.drawing.svg import element, number
from tasks.words import count


@dataclass(frozen=True)
class Looks:
    """The budget of a test set."""

    number: int
    of: int
    spent: str
    promised: str
    bar: Markup
    sentence: str


def looks_of(verdict: Mapping[str, Any], settings: Mapping[str, Any]) -> Looks | None:
    """None where nothing was compared, so that no look was taken."""
    if verdict["champion"] is None:
        return None
    at, of = int(verdict["look_number"]), int(verdict["looks"])
    promised = float(settings.get("error_rate", 0.05))
    spent = promised * min(at, of) / of
    left = max(of - at, 0)
    if at > of:
        ends = (
            "None is left: no challenger can be promoted by it until more than half of its documents are new"
        )
    else:
        ends = f"{count(left, 'look')} left" if left else "This was the last one"
    sentence = (
        "Whoever is measured often enough on the same text will one day look better by luck. So each of "
        f"{of} looks at this test set may err with a chance of {promised / of:.2%} only, and all of them "
        f"together with {promised:.0%}. This was look {at}. {ends}. With more than half new documents the "
        "count begins anew."
    )
    return Looks(at, of, f"{spent:.2%}", f"{promised:.0%}", _bar(at, of), sentence)


def _bar(at: int, of: int) -> Markup:
    """A bar as wide as its box: what is spent before, this look, what is left."""
    width = 100 / of
    before, now = width * min(at - 1, of), width * (at <= of)
    parts = [
        element("rect", x=number(0), y=0, width=100, height=14, class_="free"),
        element("rect", x="0", y=0, width=f"{before:.2f}", height=14, class_="spent"),
        element(
            "rect",
            x=f"{before:.2f}",
            y=0,
            width=f"{max(now, 0.6 if now else 0):.2f}",
            height=14,
            class_="now",
        ),
    ]
    label = f"look {at} of {of}"
    return element(
        "svg", element("title", label), *parts, viewBox="0 0 100 14", preserveAspectRatio="none", role="img",
        class_="stack looks", aria_label=label,
    )  # fmt: skip
