from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.corpus.deduplicate import deduplicate
from lmcore.corpus.document import Document, Duplicate, Rejected, digest_of, read, write
from lmcore.corpus.settings import DeduplicateConfig
from lmcore.corpus.similarity import Similar, choose_removed, families

FolderOf = Callable[..., Path]
NewFolder = Callable[[str], Path]


def words(start: int, end: int) -> list[str]:
    return [f"w{number}" for number in range(start, end)]


def text(*parts: list[str]) -> str:
    return " ".join(word for part in parts for word in part)


def result(out: Path) -> tuple[list[Document], list[Rejected], list[Duplicate]]:
    return (
        list(read(out / "documents.parquet", Document)),
        list(read(out / "rejected.parquet", Rejected)),
        list(read(out / "duplicates.parquet", Duplicate)),
    )


ORIGINAL = text(words(0, 200))
NEAR = text(words(0, 198), ["x", "y"])  # 194 of 196 runs of five words in common: J = 194 / 198
PART = text(words(50, 150))  # its 96 runs are all in the original: J = 96 / 196
HALF = text(words(100, 200), words(1000, 1100))  # 96 of 196 in common: J = 96 / 296
OTHER = text(words(5000, 5200))


def test_copies_near_copies_and_parts_go_and_relatives_stay(folder_of: FolderOf, new_folder: NewFolder):
    given = folder_of("in", {"b": [NEAR, OTHER, PART], "a": [ORIGINAL, HALF, ORIGINAL]})
    out = new_folder("out")
    facts = deduplicate(given, out, DeduplicateConfig())
    kept, rejected, evidence = result(out)
    assert len(ORIGINAL) > len(NEAR)
    assert [document.text for document in kept] == [OTHER, ORIGINAL, HALF]
    hows = {(row.removed, row.how): (row.keeper, row.jaccard, row.containment) for row in evidence}
    assert hows == {
        ("a/file.txt#3", "exact"): ("a/file.txt#1", 1.0, 1.0),
        ("b/file.txt#1", "near"): ("a/file.txt#1", 194 / 198, 194 / 196),
        ("b/file.txt#3", "contained"): ("a/file.txt#1", 96 / 196, 1.0),
        ("a/file.txt#1", "family"): ("a/file.txt#2", 96 / 296, 96 / 196),
    }
    assert {row.id: (row.stage, row.rule, row.threshold) for row in rejected} == {
        "a/file.txt#3": ("deduplicate", "exact_duplicate", 1.0),
        "b/file.txt#1": ("deduplicate", "near_duplicate", 0.8),
        "b/file.txt#3": ("deduplicate", "contained", 0.9),
    }
    assert {row.reason for row in rejected} == {
        "the same text as 'a/file.txt#1'",
        "0.980 alike with 'a/file.txt#1'",
        "1.000 of it stands in 'a/file.txt#1'",
    }
    family = min(map(digest_of, (ORIGINAL, NEAR, PART, HALF)))
    assert {row.family for row in [*kept, *rejected] if row.text != OTHER} == {family}
    assert facts == {
        "documents": 3,
        "characters": len(OTHER + ORIGINAL + HALF),
        "rejected": 3,
        "exact_duplicates": 1,
        "near_duplicates": 1,
        "contained": 1,
        "proposed_pairs": facts["proposed_pairs"],
        "family_pairs": 1,
        "families": 2,
        "largest_family": 4,
    }


def test_the_order_of_the_input_does_not_decide(folder_of: FolderOf, tmp_path: Path, new_folder: NewFolder):
    documents = list(
        read(
            folder_of("in", {"s": [ORIGINAL, NEAR, PART, HALF, OTHER, NEAR]}) / "documents.parquet", Document
        )
    )
    outcomes = set()
    for seed in range(6):
        random.Random(seed).shuffle(documents)
        folder = new_folder(f"shuffled{seed}")
        write(folder / "documents.parquet", Document, documents)
        out = new_folder(f"out{seed}")
        deduplicate(folder, out, DeduplicateConfig())
        kept, rejected, evidence = result(out)
        outcomes.add(
            (
                tuple(sorted((row.id, row.family) for row in kept)),
                tuple(sorted((row.id, row.reason) for row in rejected)),
                tuple((row.removed, row.keeper, row.jaccard) for row in evidence),
            )
        )
    assert len(outcomes) == 1


def test_a_document_that_is_only_like_a_removed_one_stays(folder_of: FolderOf, new_folder: NewFolder):
    # A chain: each is near the next (J = 0.83), the ends are not near each other (J = 0.69).
    chain = [text(words(at, at + 110)) for at in (0, 10, 20)]
    out = new_folder("out")
    deduplicate(folder_of("in", {"s": chain}), out, DeduplicateConfig(jaccard=0.8))
    kept, rejected, evidence = result(out)
    # Of equal length, so digests decide; whichever goes, went for one that is still there.
    assert len(kept) + len(rejected) == 3
    assert {row.keeper for row in evidence if row.how != "family"} <= {row.id for row in kept}
    assert len({row.family for row in [*kept, *rejected]}) == 1


def test_what_is_near_to_nobody_is_never_removed_even_in_a_crowd(folder_of: FolderOf, new_folder: NewFolder):
    # 100 letters with the same first half: alike, proposed in every band, and every one of them another text.
    opening = words(0, 60)
    letters = [text(opening, words(100 * n, 100 * n + 60)) for n in range(1, 101)]
    out = new_folder("out")
    facts = deduplicate(folder_of("in", {"s": letters}), out, DeduplicateConfig())
    assert (facts["documents"], facts["rejected"], facts["families"]) == (100, 0, 1)


def test_reports_that_differ_in_their_numbers_are_different(folder_of: FolderOf, new_folder: NewFolder):
    reports = [
        text([w for n in range(40) for w in ("station", "measured", str(n * k), "mm")]) for k in (3, 7)
    ]
    out = new_folder("out")
    assert deduplicate(folder_of("in", {"s": reports}), out, DeduplicateConfig())["rejected"] == 0


def test_texts_of_a_few_words_or_none_are_compared_as_a_whole(folder_of: FolderOf, new_folder: NewFolder):
    out = new_folder("out")
    facts = deduplicate(
        folder_of("in", {"s": ["* * *", "Yes.", "yes!", "No.", "* * *", "...", ""]}), out, DeduplicateConfig()
    )
    kept, _, _ = result(out)
    assert {row.text for row in kept} in (
        {"* * *", "...", "", "No.", "Yes."},
        {"* * *", "...", "", "No.", "yes!"},
    )
    assert (facts["exact_duplicates"], facts["near_duplicates"]) == (1, 1)


def test_the_same_input_makes_the_same_bytes(folder_of: FolderOf, new_folder: NewFolder):
    given = folder_of("in", {"s": [ORIGINAL, NEAR, HALF]})
    one, two = new_folder("one"), new_folder("two")
    deduplicate(given, one, DeduplicateConfig())
    deduplicate(given, two, DeduplicateConfig())
    for file in sorted(one.iterdir()):
        assert file.read_bytes() == (two / file.name).read_bytes()


def test_deduplicating_again_removes_nothing_more(folder_of: FolderOf, new_folder: NewFolder):
    once, twice = new_folder("once"), new_folder("twice")
    deduplicate(folder_of("in", {"s": [ORIGINAL, NEAR, PART, HALF]}), once, DeduplicateConfig())
    assert deduplicate(once, twice, DeduplicateConfig())["rejected"] == 0


documents = st.lists(
    st.lists(st.sampled_from([f"w{n}" for n in range(6)]), min_size=1, max_size=14).map(" ".join),
    min_size=1,
    max_size=8,
)


@given(texts=documents)
@settings(max_examples=60, deadline=None)
def test_every_verdict_agrees_with_plain_sets(tmp_path_factory: pytest.TempPathFactory, texts: list[str]):
    config = DeduplicateConfig(shingle_words=2, jaccard=0.6, containment=0.8, bands=32, rows=1)
    folder, out = tmp_path_factory.mktemp("in"), tmp_path_factory.mktemp("out")
    rows = [Document(f"s#{n}", "s", "f", n, "", t, digest_of(t)) for n, t in enumerate(texts)]
    write(folder / "documents.parquet", Document, rows)
    deduplicate(folder, out, config)
    kept, rejected, evidence = result(out)
    text_of = {row.id: row.text for row in rows}

    def runs(value: str) -> set[tuple[str, ...]]:
        tokens = value.split()
        return {tuple(tokens[at : at + 2]) for at in range(max(1, len(tokens) - 1))}

    for row in evidence:
        left, right = runs(text_of[row.removed]), runs(text_of[row.keeper])
        assert row.jaccard == len(left & right) / len(left | right)
        assert row.containment == len(left & right) / len(left)
        assert row.how == "family" or row.jaccard >= 0.6 or row.containment >= 0.8
        assert len(text_of[row.removed]) <= len(text_of[row.keeper])
    assert {row.id for row in rejected} == {row.removed for row in evidence if row.how != "family"}
    assert {row.keeper for row in evidence if row.how != "family"} <= {row.id for row in kept}
    assert sorted(row.id for row in [*kept, *rejected]) == sorted(text_of)


def test_removal_prefers_the_most_similar_keeper_and_never_a_removed_one():
    config = DeduplicateConfig()
    pairs = [
        Similar(0, 1, 0.9, 0.9),
        Similar(1, 2, 0.95, 0.95),
        Similar(0, 3, 0.85, 0.9),
        Similar(2, 3, 0.9, 0.9),
    ]
    removed = choose_removed(pairs, config)
    assert {other: pair.keeper for other, pair in removed.items()} == {1: 0, 3: 2}


def test_a_family_is_named_by_its_smallest_digest():
    pairs = [Similar(0, 1, 0.5, 0.5), Similar(1, 2, 0.5, 0.5)]
    assert families(["c", "b", "a", "d"], pairs) == ["a", "a", "a", "d"]
