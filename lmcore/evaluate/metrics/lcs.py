"""Longest common subsequences, a whole row of the table at a time in the bits of one integer (Hyyrö 2004).

Bit j of a row is 0 where the common subsequence grows with token j; counting zeros gives any table entry.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def lcs_length(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """How many tokens the longest common subsequence has."""
    places = _places(first)
    row = full = (1 << len(first)) - 1
    for token in second:
        if match := places.get(token):
            both = row & match
            row = (row + both) | (row - both)
    return len(first) - (row & full).bit_count()


def lcs_indices(reference: Sequence[Hashable], candidate: Sequence[Hashable]) -> list[int]:
    """Places in the reference of one longest common subsequence, the last first.

    Of several, the one that rouge-score reads out of its table: from the end, it goes back in the candidate
    only where going back in the reference would lose a token.
    """
    places = _places(candidate)
    row = full = (1 << len(candidate)) - 1
    rows = [row]
    for token in reference:
        both = row & places.get(token, 0)
        row = ((row + both) | (row - both)) & full
        rows.append(row)
    i, j = len(reference), len(candidate)
    left = j - row.bit_count()
    found = []
    while left:
        if reference[i - 1] == candidate[j - 1]:
            i, j, left = i - 1, j - 1, left - 1
            found.append(i)
        elif j - (rows[i - 1] & ((1 << j) - 1)).bit_count() == left:
            i -= 1
        else:
            j -= 1
    return found


def _places(tokens: Sequence[Hashable]) -> dict[Hashable, int]:
    """For each token, an integer whose bits are the places where it stands."""
    places: dict[Hashable, int] = {}
    bit = 1
    for token in tokens:
        places[token] = places.get(token, 0) | bit
        bit <<= 1
    return places
