from __future__ import annotations

import csv
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.corpus.clean import NothingLeftError
from lmcore.corpus.document import Decision, Document, Rejected, digest_of, read, reject, write
from lmcore.corpus.ledger import SIDES, Place, read_ledger, write_ledger
from lmcore.corpus.quotas import Counts, Family, fill_quotas
from lmcore.corpus.settings import SplitConfig
from lmcore.corpus.split import split_corpus, without

FolderOf = Callable[..., Path]
NewFolder = Callable[[str], Path]
TENTHS = SplitConfig(validation_share=0.1, test_share=0.1)


def texts(source: str, count: int) -> list[str]:
    return [f"{source} text {number}" for number in range(count)]


def sides_of(out: Path) -> dict[str, str]:
    """The side of each text."""
    return {row.text: side for side in SIDES for row in read(out / f"{side}.parquet", Document)}


def split(
    documents: Path, out: Path, ledger: Path | None = None, config: SplitConfig = TENTHS
) -> dict[str, str]:
    split_corpus(documents, [documents], [documents], ledger, out, config)
    return sides_of(out)


def test_every_source_holds_out_its_shares(folder_of: FolderOf, new_folder: NewFolder):
    out = new_folder("out")
    given = folder_of("in", {"a": texts("a", 50), "b": texts("b", 200)})
    facts = split_corpus(given, [given], [], None, out, TENTHS)
    counts = Counter((row.source, side) for side in SIDES for row in read(out / f"{side}.parquet", Document))
    assert counts == {
        ("a", "train"): 40,
        ("a", "validation"): 5,
        ("a", "test"): 5,
        ("b", "train"): 160,
        ("b", "validation"): 20,
        ("b", "test"): 20,
    }
    assert (facts["train_documents"], facts["validation_documents"], facts["test_documents"]) == (200, 25, 25)
    assert (facts["new_in_ledger"], facts["rejected"]) == (250, 0)


def test_new_families_are_taken_in_the_order_of_their_hash():
    families = [Family(name, Counter({"s": 1})) for name in "abcdefghij"]
    sides = fill_quotas(families, Counter(), {"s": 10}, TENTHS)
    order = sorted("abcdefghij", key=lambda name: sha256(f"0:{name}".encode()).hexdigest())
    assert sides == {order[0]: "test", order[1]: "validation"} | dict.fromkeys(order[2:], "train")
    assert fill_quotas(families, Counter(), {"s": 10}, TENTHS.model_copy(update={"seed": 1})) != sides


def test_the_order_of_the_input_does_not_decide(folder_of: FolderOf, new_folder: NewFolder):
    rows = list(
        read(folder_of("in", {"a": texts("a", 30), "b": texts("b", 9)}) / "documents.parquet", Document)
    )
    products = set()
    for seed in range(4):
        random.Random(seed).shuffle(rows)
        folder, out = new_folder(f"in{seed}"), new_folder(f"out{seed}")
        write(folder / "documents.parquet", Document, rows)
        split_corpus(folder, [], [], None, out, TENTHS)
        products.add(((out / "ledger.csv").read_bytes(), *sorted(sides_of(out).items())))
    assert len(products) == 1


def test_splitting_with_the_ledger_that_was_written_gives_the_same_bytes(
    folder_of: FolderOf, new_folder: NewFolder
):
    given = folder_of("in", {"a": texts("a", 30), "b": texts("b", 3)})
    one, two = new_folder("one"), new_folder("two")
    split(given, one)
    facts = split_corpus(given, [given], [given], one / "ledger.csv", two, TENTHS)
    assert facts["new_in_ledger"] == 0
    for file in sorted(one.iterdir()):
        assert file.read_bytes() == (two / file.name).read_bytes()


def test_a_document_keeps_its_side_for_ever(folder_of: FolderOf, new_folder: NewFolder, tmp_path: Path):
    before = split(folder_of("old", {"a": texts("a", 40)}), new_folder("one"))
    more = folder_of("new", {"a": [*texts("more", 60), *texts("a", 40)], "b": texts("b", 5)})
    after = split(more, new_folder("two"), tmp_path / "one" / "ledger.csv")
    assert {text: after[text] for text in before} == before
    assert Counter(after[text] for text in after if not text.startswith("b")) == {
        "train": 80,
        "validation": 10,
        "test": 10,
    }


def test_a_document_that_was_away_comes_back_to_its_side(
    folder_of: FolderOf, new_folder: NewFolder, tmp_path: Path
):
    whole = folder_of("whole", {"a": texts("a", 40)})
    before = split(whole, new_folder("one"))
    split(folder_of("part", {"a": texts("a", 20)}), new_folder("two"), tmp_path / "one" / "ledger.csv")
    after = split(whole, new_folder("three"), tmp_path / "two" / "ledger.csv")
    assert after == before
    assert (tmp_path / "three" / "ledger.csv").read_bytes() == (tmp_path / "one" / "ledger.csv").read_bytes()


def test_a_family_stands_on_one_side(folder_of: FolderOf, new_folder: NewFolder):
    all_texts = texts("a", 60)
    families = {text: f"family{number // 3}" for number, text in enumerate(all_texts)}
    sides = split(folder_of("in", {"a": all_texts}, families), new_folder("out"))
    assert {len({sides[t] for t in all_texts if families[t] == name}) for name in families.values()} == {1}
    assert Counter(sides.values()) == {"train": 48, "validation": 6, "test": 6}


def test_a_new_relative_joins_its_family_wherever_that_stands(
    folder_of: FolderOf, new_folder: NewFolder, tmp_path: Path
):
    old = texts("a", 30)
    before = split(folder_of("old", {"a": old}), new_folder("one"))
    new = [f"{text} revised" for text in old]
    families = {f"{text} revised": digest_of(text) for text in old}
    after = split(
        folder_of("new", {"a": old + new}, families), new_folder("two"), tmp_path / "one" / "ledger.csv"
    )
    assert all(after[f"{text} revised"] == side for text, side in before.items())


def test_a_longer_copy_of_a_test_document_does_not_begin_to_train(
    folder_of: FolderOf, new_folder: NewFolder, tmp_path: Path
):
    old = texts("a", 30)
    before = split(folder_of("old", {"a": old}), new_folder("one"))
    held_out = next(text for text in old if before[text] == "test")
    # Now the held-out text is removed as a part of a longer one, whose family it names.
    longer = f"{held_out}, and how it goes on"
    given = folder_of("new", {"a": [longer, *old]}, {longer: digest_of(held_out)})
    gone = next(row for row in read(given / "documents.parquet", Document) if row.text == held_out)
    decision = Decision(gone.id, "deduplicate", "contained", 1, 0.9, "because")
    write(given / "decisions.parquet", Decision, [decision])
    after = split(given, new_folder("two"), tmp_path / "one" / "ledger.csv")
    assert after[longer] == "test"
    assert held_out not in after


def test_a_document_that_links_two_sides_is_rejected(
    folder_of: FolderOf, new_folder: NewFolder, tmp_path: Path
):
    old = texts("a", 30)
    before = split(folder_of("old", {"a": old}), new_folder("one"))
    test, train = (next(text for text in old if before[text] == side) for side in ("test", "train"))
    given = folder_of("new", {"a": [*old, "link"]}, {test: "f", train: "f", "link": "f"})
    out = new_folder("two")
    after = split(given, out, tmp_path / "one" / "ledger.csv")
    assert after == before
    (row,) = read(out / "rejected.parquet", Rejected)
    assert (row.text, row.stage, row.rule) == ("link", "split", "family_on_two_sides")
    assert row.reason == "documents like it stand on test and train already, so it fits on neither side"
    assert digest_of("link") not in read_ledger(out / "ledger.csv")


def test_rejections_of_all_stages_are_put_together_with_their_texts(
    folder_of: FolderOf, new_folder: NewFolder
):
    given, later = folder_of("in", {"a": texts("a", 9)}), new_folder("later")
    rows = list(read(given / "documents.parquet", Document))
    write(given / "rejected.parquet", Rejected, [reject(rows[0], "ingest", "empty", "x")])
    first = Decision(rows[1].id, "filter", "length.min_words", 1, 2, "words 1 is below the limit of 2")
    second = Decision(rows[1].id, "filter", "language.only_code", None, None, "code is fr, not en")
    write(given / "decisions.parquet", Decision, [first, second])
    near = Decision(rows[2].id, "deduplicate", "near_duplicate", 1, 0.8, "0.9 alike")
    write(later / "decisions.parquet", Decision, [replace(first, stage="deduplicate"), near])
    out = new_folder("out")
    facts = split_corpus(given, [given, later], [given], None, out, TENTHS)
    assert facts["rejected"] == 3
    assert [
        (row.text, row.stage, row.rule, row.value) for row in read(out / "rejected.parquet", Rejected)
    ] == [
        ("a text 0", "ingest", "empty", None),
        ("a text 1", "filter", "length.min_words", 1),
        ("a text 2", "deduplicate", "near_duplicate", 1),
    ]
    assert {rows[1].text, rows[2].text}.isdisjoint(sides_of(out))


def test_passages_that_were_cut_are_gone_and_the_side_stays(folder_of: FolderOf, new_folder: NewFolder):
    long = "one two three\nfour five six\nseven"
    given = folder_of("in", {"a": [long, *texts("a", 20)]})
    before = split(given, new_folder("one"))
    spans = {"id": ["a/file.txt#1"] * 2, "begin": [14, 0], "end": [27, 4]}
    pq.write_table(pa.table(spans), given / "cuts.parquet")
    after = split(given, new_folder("two"))
    assert after.pop("two three\n\nseven") == before.pop(long)
    assert after == before


@pytest.mark.parametrize(
    ("cuts", "left"),
    [([], "ab cd ef"), ([(0, 3)], "cd ef"), ([(3, 5)], "ab\n\nef"), ([(5, 8)], "ab cd"), ([(0, 8)], "")],
)
def test_what_is_left_stands_apart(cuts: list[tuple[int, int]], left: str):
    assert without("ab cd ef", cuts) == left


# How quotas are filled, whatever comes

sizes = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 30)), min_size=1, max_size=25)
shares = st.sampled_from([0.0, 0.01, 0.05, 0.2, 0.49])


@given(sizes=sizes, validation=shares, test=shares)
@settings(max_examples=300)
def test_three_families_reach_every_side_and_quotas_hold(
    sizes: list[tuple[str, int]], validation: float, test: float
):
    config = SplitConfig(validation_share=validation, test_share=test)
    families = [Family(str(number), Counter({source: size})) for number, (source, size) in enumerate(sizes)]
    totals = Counter[str]()
    for family in families:
        totals.update(family.sources)
    sides = fill_quotas(families, Counter(), totals, config)
    assert set(sides) == {family.name for family in families}
    for source in totals:
        own = [family for family in families if family.source == source]
        reached = {sides[family.name] for family in own}
        assert "train" in reached
        assert ("test" in reached) <= (test > 0)
        assert ("validation" in reached) <= (validation > 0)
        if len(own) >= 3:
            assert ("test" in reached) == (test > 0)
            assert ("validation" in reached) == (validation > 0)
        for side, share in (("test", test), ("validation", validation)):
            held = [family.sources[source] for family in own if sides[family.name] == side]
            assert sum(held) <= max(1, round(share * totals[source])) or len(held) == 1


def test_what_the_ledger_placed_counts_into_the_quota():
    families = [Family(str(number), Counter({"s": 1})) for number in range(10)]
    counts: Counts = Counter({("s", "test"): 2, ("s", "train"): 8})
    sides = fill_quotas(families, counts, {"s": 20}, TENTHS)
    assert Counter(sides.values()) == {"validation": 2, "train": 8}


def test_a_family_of_two_sources_counts_for_the_one_that_most_of_it_comes_from():
    assert Family("f", Counter({"b": 2, "a": 1})).source == "b"
    assert Family("f", Counter({"b": 1, "a": 1})).source == "a"
    families = [Family(str(n), Counter({"a": 1, "b": 2})) for n in range(10)]
    sides = fill_quotas(families, Counter(), {"a": 10, "b": 20}, TENTHS)
    assert Counter(sides.values()) == {"test": 1, "validation": 1, "train": 8}


def test_few_families_train_first():
    one = [Family("x", Counter({"s": 1}))]
    assert fill_quotas(one, Counter(), {"s": 1}, TENTHS) == {"x": "train"}
    two = [*one, Family("y", Counter({"s": 1}))]
    assert sorted(fill_quotas(two, Counter(), {"s": 2}, TENTHS).values()) == ["test", "train"]


def test_a_side_that_would_stay_empty_is_refused(folder_of: FolderOf, new_folder: NewFolder):
    relatives = folder_of("in", {"a": texts("a", 9)}, dict.fromkeys(texts("a", 9), "one family"))
    with pytest.raises(NothingLeftError, match=r"no document is left for validation: .* heading: PATTERN"):
        split_corpus(relatives, [relatives], [], None, new_folder("out"), TENTHS)
    whole = SplitConfig(validation_share=0, test_share=0)
    assert split_corpus(relatives, [relatives], [], None, new_folder("out2"), whole)["train_documents"] == 9


def test_nothing_to_split_is_refused(folder_of: FolderOf, new_folder: NewFolder):
    with pytest.raises(NothingLeftError, match="no document to split"):
        split_corpus(folder_of("in", {}), [], [], None, new_folder("out"), TENTHS)


# The ledger

names = st.text("0123456789abcdef", min_size=4, max_size=4)
places = st.dictionaries(
    names, st.builds(Place, st.sampled_from(SIDES), st.sampled_from(["a", 'with "quotes", and commas']))
)


@given(places=places)
def test_a_ledger_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, places: Mapping[str, Place]
):
    path = tmp_path_factory.mktemp("ledger") / "ledger.csv"
    write_ledger(path, places)
    assert read_ledger(path) == places
    with path.open(newline="", encoding="utf-8") as file:
        digests = [row[0] for row in csv.reader(file)][1:]
    assert digests == sorted(places)


def test_a_ledger_that_does_not_exist_yet_is_empty(tmp_path: Path):
    assert read_ledger(None) == read_ledger(tmp_path / "ledger.csv") == {}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "begins with '', expected 'digest,side,source'; restore it"),
        ("digest,side,source\nabc,train\n", "line 2 is 'abc,train', expected digest,side,source"),
        ("digest,side,source\nabc,exam,s\n", "line 2 is 'abc,exam,s'"),
        (
            "digest,side,source\nabc,train,s\nabc,test,s\n",
            "line 3 puts abc on test, an earlier one on train; delete",
        ),
        ("<<<<<<< HEAD\ndigest,side,source\n", "begins with '<<<<<<< HEAD'"),
    ],
)
def test_a_damaged_ledger_is_refused_in_one_line(tmp_path: Path, content: str, says: str):
    (tmp_path / "ledger.csv").write_text(content)
    with pytest.raises(ValueError, match=says) as error:
        read_ledger(tmp_path / "ledger.csv")
    assert "\n" not in str(error.value)
