"""One family of rules a file: a filter measures a text, and its limits decide.

A filter is a pure function of a `Text` that gives numbers by name, its signals. Of its keyword-only
parameters, `min_<signal>`, `max_<signal>` and `only_<signal>` (the admitted words) are limits, None for no
limit; the function itself does not look at them. All others are settings of the measurement. What was
measured is kept for each document, so that other limits need no second reading of the texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from lmcore.registry import Registry

Signals = Mapping[str, float | str]
"""What a filter measured: a number, or a word, by name."""

filters: Registry[Callable[..., Signals]] = Registry("filter", "lmcore.corpus.filters")

Kind = Literal["min", "max", "only"]
KINDS: tuple[Kind, ...] = ("min", "max", "only")


class Limit(NamedTuple):
    """One rule: what of which signal is admitted."""

    rule: str
    """`<filter>.<parameter>`."""
    column: str
    """Where the signal stands in the table of signals."""
    kind: Kind
    bound: Any


def column_of(name: str, signal: str) -> str:
    """The column of a filter's signal in the table of signals."""
    return f"{name}_{signal}"


def kind_of(parameter: str) -> Kind | None:
    """Whether a parameter is a limit, and which."""
    kind, _, signal = parameter.partition("_")
    return next((known for known in KINDS if known == kind and signal), None)


def limits_of(name: str, dials: Mapping[str, Any]) -> list[Limit]:
    """The limits among a filter's settings, in the order of its signature."""
    return [
        Limit(f"{name}.{dial}", column_of(name, dial.partition("_")[2]), kind, bound)
        for dial, bound in dials.items()
        if (kind := kind_of(dial)) and bound is not None
    ]
