"""Exact match, spaces and letter case aside: the accuracy of an answer that is a label."""

from __future__ import annotations


def normalize(text: str) -> str:
    """Case folded, no space around, one space between words."""
    return " ".join(text.split()).casefold()


def exact_match(wanted: str, answer: str) -> float:
    """1 where the two say the same, else 0."""
    return float(normalize(wanted) == normalize(answer))
