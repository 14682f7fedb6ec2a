"""Which side an own conversation stands on: a hash of its content decides; like prompts go together."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from lmcore.chat.conversation import Conversation
from lmcore.corpus.ledger import Side
from lmcore.corpus.minhash import MinHash, candidate_pairs
from lmcore.corpus.settings import DeduplicateConfig
from lmcore.corpus.similarity import families, verify
from lmcore.corpus.words import Hashes, Shingler
from lmcore.lineage import digest_of

ALIKE = DeduplicateConfig(
    shingle_words=2,
    bands=32,
    rows=4,
    jaccard=0.8,
    containment=1.0,
    family_jaccard=0.8,
    family_containment=1.0,
)
"""Prompts that share four fifths of their pairs of words, or of which one holds all pairs of the other."""
COMMON_SHARE, COMMON_LEAST = 0.1, 5
"""A pair of words in more prompts than this is the wording of a task, and makes no two prompts alike."""


def content_digest(conversation: Conversation) -> str:
    """SHA-256 of all messages."""
    return digest_of(conversation)


def choose_sides(
    conversations: Sequence[Conversation], validation_share: float, test_share: float
) -> list[Side]:
    """A side for each conversation; the order of the conversations changes nothing.

    Each family has a place between 0 and 1, the shares cut that line. Where few families leave a side empty
    that has a share, the cuts move to the next family, as far as there is one for each side.
    """
    digests = [content_digest(conversation) for conversation in conversations]
    families = _families(conversations, digests)
    ordered = sorted(set(families), key=_place)
    places = [_place(family) for family in ordered]
    test, held_out = bisect_left(places, test_share), bisect_left(places, test_share + validation_share)
    least_test, least_validation = int(test_share > 0), int(validation_share > 0)
    if len(ordered) > least_test + least_validation:
        test = max(test, least_test)
        held_out = min(max(held_out, test + least_validation), len(ordered) - 1)
        test = min(test, held_out - least_validation)
    ranks = {family: rank for rank, family in enumerate(ordered)}
    return [_side(ranks[family], test, held_out) for family in families]


def _place(family: str) -> float:
    # Hashed once more: the smallest digest of a large family is small.
    return int(sha256(family.encode()).hexdigest()[:13], 16) / 16**13  # 52 bits: exact in a float


def _side(rank: int, test: int, held_out: int) -> Side:
    if rank < test:
        return "test"
    return "validation" if rank < held_out else "train"


def _families(conversations: Sequence[Conversation], digests: Sequence[str]) -> list[str]:
    """For each conversation, the smallest digest among those whose prompts are like its own."""
    prompts = ["\n".join(message.content for message in each.messages[:-1]) for each in conversations]
    by_prompt: defaultdict[str, list[int]] = defaultdict(list)
    for number, prompt in enumerate(prompts):
        by_prompt[sha256(" ".join(prompt.split()).casefold().encode()).hexdigest()].append(number)
    own = {prompt: min(digests[number] for number in numbers) for prompt, numbers in by_prompt.items()}
    names = sorted(own)
    joined = _join([prompts[by_prompt[name][0]] for name in names], [own[name] for name in names])
    result = list(digests)
    for name, family in zip(names, joined, strict=True):
        for number in by_prompt[name]:
            result[number] = family
    return result


def _join(prompts: Sequence[str], digests: Sequence[str]) -> list[str]:
    """Families of different prompts, by the pairs of words that few prompts have."""
    shingler = Shingler(ALIKE.shingle_words)
    sets = [shingler.shingle_set(prompt) for prompt in prompts]
    counts = Counter(shingle for shingles in sets for shingle in shingles.tolist())
    most = max(COMMON_LEAST, COMMON_SHARE * len(prompts))
    rare: dict[int, Hashes] = {}
    for number, shingles in enumerate(sets):
        is_rare = np.array([counts[shingle] <= most for shingle in shingles.tolist()], dtype=np.bool_)
        if is_rare.any():
            rare[number] = shingles[is_rare]
    if not rare:
        return list(digests)
    rows = list(rare)
    hashing = MinHash(ALIKE.bands, ALIKE.rows, ALIKE.seed)
    signatures = np.stack([hashing.signature(rare[row]) for row in rows])
    pairs = candidate_pairs(signatures)
    similar = verify(pairs, dict(enumerate(rare.values())), ALIKE)
    found = families([digests[row] for row in rows], similar)
    result = list(digests)
    for row, family in zip(rows, found, strict=True):
        result[row] = family
    return result
