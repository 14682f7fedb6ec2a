from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.corpus import chunks, minhash
from lmcore.corpus import deduplicate as deduplicate_module
from lmcore.corpus import pieces as pieces_module
from lmcore.corpus.deduplicate import Member, deduplicate
from lmcore.corpus.document import Decision, Document, Duplicate, digest_of, read, write
from lmcore.corpus.minhash import MinHash
from lmcore.corpus.settings import DeduplicateConfig
from lmcore.corpus.similarity import Similar, choose_removed, families
from lmcore.corpus.words import Shingler

FolderOf = Callable[..., Path]
NewFolder = Callable[[str], Path]


def words(start: int, end: int) -> list[str]:
    return [f"w{number}" for number in range(start, end)]


def text(*parts: list[str]) -> str:
    return " ".join(word for part in parts for word in part)


def run(given: Path, out: Path, config: DeduplicateConfig | None = None, **options) -> dict:
    """Deduplicate what no filter rejected."""
    write(given / "decisions.parquet", Decision, options.pop("decisions", []))
    return deduplicate(given, given, out, config or DeduplicateConfig(), **options)


class Outcome(NamedTuple):
    kept: list[Document]
    decisions: list[Decision]
    evidence: list[Duplicate]
    families: dict[str, str]


def result(given: Path, out: Path) -> Outcome:
    decisions = list(read(out / "decisions.parquet", Decision))
    families = {row.id: row.family for row in read(out / "families.parquet", Member)}
    gone = {row.id for row in decisions}
    kept = [row for row in read(given / "documents.parquet", Document) if row.id in families.keys() - gone]
    return Outcome(kept, decisions, list(read(out / "duplicates.parquet", Duplicate)), families)


ORIGINAL = text(words(0, 200))
NEAR = text(words(0, 198), ["x", "y"])  # 194 of 196 runs of five words in common: J = 194 / 198
PART = text(words(50, 150))  # its 96 runs are all in the original: J = 96 / 196
HALF = text(words(100, 200), words(1000, 1100))  # 96 of 196 in common: J = 96 / 296
OTHER = text(words(5000, 5200))


def test_copies_near_copies_and_parts_go_and_relatives_stay(folder_of: FolderOf, new_folder: NewFolder):
    given = folder_of("in", {"b": [NEAR, OTHER, PART], "a": [ORIGINAL, HALF, ORIGINAL]})
    out = new_folder("out")
    facts = run(given, out)
    kept, decisions, evidence, families = result(given, out)
    assert len(ORIGINAL) > len(NEAR)
    assert [document.text for document in kept] == [OTHER, ORIGINAL, HALF]
    hows = {(row.removed, row.how): (row.keeper, row.jaccard, row.containment) for row in evidence}
    assert hows == {
        ("a/file.txt#3", "exact"): ("a/file.txt#1", 1.0, 1.0),
        ("b/file.txt#1", "near"): ("a/file.txt#1", 194 / 198, 194 / 196),
        ("b/file.txt#3", "contained"): ("a/file.txt#1", 96 / 196, 1.0),
        ("a/file.txt#1", "family"): ("a/file.txt#2", 96 / 296, 96 / 196),
    }
    assert {row.id: (row.stage, row.rule, row.value, row.threshold) for row in decisions} == {
        "a/file.txt#3": ("deduplicate", "exact_duplicate", 1.0, 1.0),
        "b/file.txt#1": ("deduplicate", "near_duplicate", 194 / 198, 0.8),
        "b/file.txt#3": ("deduplicate", "contained", 1.0, 0.9),
    }
    assert {row.reason for row in decisions} == {
        "the same text as 'a/file.txt#1'",
        "0.980 alike with 'a/file.txt#1'",
        "1.000 of it stands in 'a/file.txt#1'",
    }
    family = min(map(digest_of, (ORIGINAL, NEAR, PART, HALF)))
    assert families == dict.fromkeys(
        ["b/file.txt#1", "b/file.txt#3", "a/file.txt#1", "a/file.txt#2", "a/file.txt#3"], family
    ) | {"b/file.txt#2": digest_of(OTHER)}
    assert facts == {
        "documents": 3,
        "characters": len(OTHER + ORIGINAL + HALF),
        "rejected": 3,
        "exact_duplicates": 1,
        "near_duplicates": 1,
        "contained": 1,
        "compared_pairs": facts["compared_pairs"],
        "family_pairs": 1,
        "families": 2,
        "largest_family": 4,
    }


def test_what_a_filter_rejected_is_passed_over(folder_of: FolderOf, new_folder: NewFolder):
    given, out = folder_of("in", {"a": [ORIGINAL, NEAR, ORIGINAL]}), new_folder("out")
    gone = Decision("a/file.txt#1", "filter", "length", 1.0, 2.0, "too short")
    run(given, out, decisions=[gone])
    kept, _, evidence, families = result(given, out)
    assert [row.id for row in kept] == ["a/file.txt#3"]
    assert {(row.removed, row.keeper) for row in evidence} == {("a/file.txt#2", "a/file.txt#3")}
    assert families.keys() == {"a/file.txt#2", "a/file.txt#3"}


def test_the_order_of_the_input_does_not_decide(folder_of: FolderOf, new_folder: NewFolder):
    given = folder_of("in", {"s": [ORIGINAL, NEAR, PART, HALF, OTHER, NEAR]})
    documents = list(read(given / "documents.parquet", Document))
    outcomes = set()
    for seed in range(6):
        random.Random(seed).shuffle(documents)
        folder = new_folder(f"shuffled{seed}")
        write(folder / "documents.parquet", Document, documents)
        out = new_folder(f"out{seed}")
        run(folder, out)
        kept, decisions, evidence, families = result(folder, out)
        outcomes.add(
            (
                tuple(sorted(row.id for row in kept)),
                tuple(sorted(families.items())),
                tuple(sorted((row.id, row.reason) for row in decisions)),
                tuple((row.removed, row.keeper, row.jaccard) for row in evidence),
            )
        )
    assert len(outcomes) == 1


def test_a_document_that_is_only_like_a_removed_one_stays(folder_of: FolderOf, new_folder: NewFolder):
    # A chain: each is near the next (J = 0.83), the ends are not near each other (J = 0.69).
    given = folder_of("in", {"s": [text(words(at, at + 110)) for at in (0, 10, 20)]})
    out = new_folder("out")
    run(given, out, DeduplicateConfig(jaccard=0.8))
    kept, decisions, evidence, families = result(given, out)
    # Of equal length, so digests decide; whichever goes, went for one that is still there.
    assert len(kept) + len(decisions) == 3
    assert {row.keeper for row in evidence if row.how != "family"} <= {row.id for row in kept}
    assert len(set(families.values())) == 1


def test_what_is_near_to_nobody_is_never_removed_even_in_a_crowd(folder_of: FolderOf, new_folder: NewFolder):
    # 100 letters with the same first half: alike, proposed in every band, and every one of them another text.
    opening = words(0, 60)
    letters = [text(opening, words(100 * n, 100 * n + 60)) for n in range(1, 101)]
    facts = run(folder_of("in", {"s": letters}), new_folder("out"))
    assert (facts["documents"], facts["rejected"], facts["families"]) == (100, 0, 1)


def test_what_a_crowd_hid_is_found_when_the_crowd_has_gone(
    folder_of: FolderOf, new_folder: NewFolder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(minhash, "CROWD", 4)
    monkeypatch.setattr(minhash, "CROWD_LEADERS", 1)
    shared, own, others = words(10, 70), words(100, 140), words(200, 240)
    leader, copies = text(shared, own), [text(shared, own[:end]) for end in (39, 36, 34)]
    one, like_it = text(shared, others[:37]), text(shared, others[:35])
    # By length: leader, copy, one, copy, like_it, copy. Only the leader and neighbours are compared.
    texts = [leader, *copies, one, like_it]
    signs = lambda seed: {MinHash(1, 1, seed).signature(Shingler(1).shingles(each))[0] for each in texts}  # noqa: E731
    seed = next(seed for seed in range(100) if len(signs(seed)) == 1)  # all stand in one bucket
    given, out = folder_of("in", {"s": texts}), new_folder("out")
    config = DeduplicateConfig(shingle_words=1, bands=1, rows=1, seed=seed, family_jaccard=0.1)
    run(given, out, config)
    outcome = result(given, out)
    assert [row.text for row in outcome.kept] == [leader, one]
    write((again := new_folder("again")) / "documents.parquet", Document, outcome.kept)
    assert run(again, new_folder("twice"), config)["rejected"] == 0


@pytest.mark.parametrize("jaccard", [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95])
def test_near_duplicates_go_exactly_by_their_jaccard_index(
    folder_of: FolderOf, new_folder: NewFolder, jaccard: float
):
    # Of single words, with `m` in common and `m / J - m` elsewhere: half of those in either text, less one.
    config = DeduplicateConfig(shingle_words=1, containment=1.0, family_containment=1.0)
    rows = []
    for n in range(20):
        shared, at = 190, 10_000 * n
        rest = round(shared / jaccard) - shared
        own = rest // 2
        rows.append(text(words(at, at + shared), words(at + 1000, at + 1000 + own)))
        rows.append(text(words(at, at + shared), words(at + 2000, at + 2000 + rest - own)))
    given, out = folder_of("in", {"s": rows}), new_folder("out")
    run(given, out, config)
    _, decisions, evidence, _ = result(given, out)
    exact = 190 / (190 + round(190 / jaccard) - 190)
    assert len(evidence) == 20  # 96 bands of two rows miss a pair of J = 0.5 once in a million million times
    assert {row.jaccard for row in evidence} == {exact}
    assert len(decisions) == (20 if exact >= 0.8 else 0)


def test_reports_that_differ_in_their_numbers_are_different(folder_of: FolderOf, new_folder: NewFolder):
    reports = [
        text([w for n in range(40) for w in ("station", "measured", str(n * k), "mm")]) for k in (3, 7)
    ]
    assert run(folder_of("in", {"s": reports}), new_folder("out"))["rejected"] == 0


def test_texts_of_a_few_words_or_none_are_compared_as_a_whole(folder_of: FolderOf, new_folder: NewFolder):
    given = folder_of("in", {"s": ["* * *", "Yes.", "yes!", "No.", "* * *", "...", ""]})
    out = new_folder("out")
    facts = run(given, out)
    assert {row.text for row in result(given, out).kept} in (
        {"* * *", "...", "", "No.", "Yes."},
        {"* * *", "...", "", "No.", "yes!"},
    )
    assert (facts["exact_duplicates"], facts["near_duplicates"]) == (1, 1)


def test_nothing_at_all_is_no_trouble(folder_of: FolderOf, new_folder: NewFolder):
    given, out = folder_of("in", {"s": []}), new_folder("out")
    assert run(given, out)["documents"] == 0
    assert result(given, out) == ([], [], [], {})


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_cores_and_kept_signatures_change_no_byte(
    folder_of: FolderOf, new_folder: NewFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pieces_module, "SMALL", 0)
    monkeypatch.setattr(deduplicate_module, "chunks_of", lambda file: chunks.chunks_of(file, 1_000))
    texts = [ORIGINAL, NEAR, HALF, *(text(words(n, n + 90)) for n in range(0, 3000, 25))]
    given = folder_of("in", {"s": texts})
    outcomes = []
    for name, options in {
        "plain": {},
        "cores": {"cores": 2},
        "first": {"pieces": tmp_path / "kept"},
        "later": {"pieces": tmp_path / "kept"},
    }.items():
        run(given, out := new_folder(name), **options)
        outcomes.append(bytes_of(out))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert len(chunks.chunks_of(given / "documents.parquet", 1_000)) > 5


def test_documents_that_are_added_leave_other_signatures_alone(
    folder_of: FolderOf, new_folder: NewFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(deduplicate_module, "chunks_of", lambda file: chunks.chunks_of(file, 1_000))
    texts = [text(words(n, n + 90)) for n in range(0, 3000, 25)]
    said: list[str] = []
    kept = {"pieces": tmp_path / "kept", "say": said.append}
    for name, rows in (("few", texts), ("more", [*texts, ORIGINAL])):
        run(folder_of(name, {"s": rows}), new_folder(f"out of {name}"), **kept)
    made = len(list((tmp_path / "kept").iterdir()))
    before = len(chunks.chunks_of(tmp_path / "few" / "documents.parquet", 1_000))
    assert before < made <= before + 2  # the last chunk goes on, or another one begins
    (line,) = said
    assert line.endswith(" parts are as they were and taken over; the rest is fingerprinted")


def test_deduplicating_again_removes_nothing_more(folder_of: FolderOf, new_folder: NewFolder):
    once, out, again = folder_of("in", {"s": [ORIGINAL, NEAR, PART, HALF]}), new_folder("o"), new_folder("a")
    run(once, out)
    write(again / "documents.parquet", Document, result(once, out).kept)
    assert run(again, new_folder("twice"))["rejected"] == 0


documents = st.lists(
    st.lists(st.sampled_from([f"w{n}" for n in range(6)]), min_size=1, max_size=14).map(" ".join),
    min_size=1,
    max_size=8,
)


@given(texts=documents)
@settings(max_examples=40)
def test_every_verdict_agrees_with_plain_sets(tmp_path_factory: pytest.TempPathFactory, texts: list[str]):
    config = DeduplicateConfig(shingle_words=2, jaccard=0.6, containment=0.8, bands=32, rows=1)
    folder, out = tmp_path_factory.mktemp("in"), tmp_path_factory.mktemp("out")
    rows = [Document(f"s#{n}", "s", "f", n, "", t, digest_of(t)) for n, t in enumerate(texts)]
    write(folder / "documents.parquet", Document, rows)
    run(folder, out, config)
    kept, decisions, evidence, _ = result(folder, out)
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
    assert {row.id for row in decisions} == {row.removed for row in evidence if row.how != "family"}
    assert {row.keeper for row in evidence if row.how != "family"} <= {row.id for row in kept}
    assert sorted([row.id for row in kept] + [row.id for row in decisions]) == sorted(text_of)


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
