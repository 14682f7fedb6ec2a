"""One family of rules a file: a filter keeps a document, or says which of its rules the text breaks.

A filter is a pure function of the text; its keyword-only parameters are its settings. It returns None, or a
`Rejection` that names the rule, the value that was measured and the threshold that it missed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lmcore.registry import Registry


class Rejection(NamedTuple):
    """Why a document does not go on: `value` was measured, `threshold` was the limit."""

    rule: str
    value: float
    threshold: float


filters: Registry[Callable[..., Rejection | None]] = Registry("filter", "lmcore.corpus.filters")
