from __future__ import annotations

from pathlib import Path

from prepared import prepare

from lmcore.corpus.catalogue import open_catalogue
from lmcore.corpus.differences import Standing, compare_corpora, standings
from lmcore.corpus.settings import FilterPart, SplitConfig

TEXTS = {f"{n}.txt": f"the letter number {n} that we have " + "and so on " * n for n in range(10)}
LOOSE, STRICT = ([FilterPart(type="length", min_words=least)] for least in (2, 10))


def standing(name: str, digest: str, side: str = "train", rule: str = "", line: int = 1) -> Standing:
    return Standing(f"s/{name}#1", digest, "s", name, line, name, side, rule)


def test_a_corpus_is_as_it_was(tmp_path: Path):
    with open_catalogue(prepare(tmp_path, {"letters": TEXTS})) as database:
        found = standings(database)
    same = compare_corpora(found, found)
    assert (same.changes, same.turned, same.num_same) == ([], [], 10)


def test_documents_that_came_changed_went_or_turned_are_told_apart(tmp_path: Path):
    other = {name: text for name, text in TEXTS.items() if name != "9.txt"}
    other |= {
        "7.txt": TEXTS["7.txt"] + "at last",
        "new.txt": "a letter that came from the aunt that we have, at last",
    }
    lists = []
    for place, texts, filters in (("was", TEXTS, LOOSE), ("now", other, STRICT)):
        with open_catalogue(
            prepare(tmp_path / place, {"letters": texts}, filters=filters, split=SplitConfig())
        ) as made:
            lists.append(standings(made))
    found = compare_corpora(*lists)
    assert {(change.kind, change.file) for change in found.changes} == {
        ("new", "new.txt"), ("changed", "7.txt"), ("gone", "9.txt")
    }  # fmt: skip
    short = {name for name, text in TEXTS.items() if len(text.split()) < 10}
    assert {turned.now.file for turned in found.turned if turned.turn == "rejected now"} == short
    assert {turned.turn for turned in found.turned} <= {"rejected now", "moved to another side"}
    back = compare_corpora(lists[1], lists[0])
    assert {turned.now.file for turned in back.turned if turned.turn == "kept now"} == short


def test_each_turn_has_its_word():
    before = [
        standing("a", "1"), standing("b", "2", "rejected", "filter x"), standing("c", "3"),
        standing("d", "4", "rejected", "filter x"), standing("e", "5"),
    ]  # fmt: skip
    now = [
        standing("a", "1", "test"), standing("b", "2"), standing("c", "3", "rejected", "split y"),
        standing("d", "4", "rejected", "filter z"), standing("e", "5"),
    ]  # fmt: skip
    found = compare_corpora(before, now)
    assert [(each.now.file, each.turn, each.was.fate, each.now.fate) for each in found.turned] == [
        ("a", "moved to another side", "train", "test"),
        ("b", "kept now", "rejected by filter x", "train"),
        ("c", "rejected now", "train", "rejected by split y"),
        ("d", "rejected by another rule", "rejected by filter x", "rejected by filter z"),
    ]
    assert found.num_same == 1


def test_of_copies_each_is_compared_with_itself():
    both = [standing("a", "1"), standing("b", "1", "rejected", "deduplicate exact_duplicate")]
    assert compare_corpora(both, both).turned == []
    moved = [standing("z", "1")]
    assert compare_corpora(both[:1], moved).changes == []
