from hypothesis import given
from hypothesis import strategies as st

from lmcore.batching.seen import SeenDocument
from lmcore.corpus.changes import compare_documents


def document(digest: str, file: str = "a.txt", line: int = 1, title: str = "") -> SeenDocument:
    return SeenDocument(digest, "train", "letters", file, line, title)


def told(before: list[SeenDocument], now: list[SeenDocument]) -> list[tuple[str, str]]:
    return [(change.kind, change.digest) for change in compare_documents(before, now)]


def test_new_changed_and_gone_documents_are_told_apart():
    before = [document("same"), document("old", "b.txt"), document("lost", "c.txt")]
    now = [document("same"), document("edited", "b.txt"), document("added", "d.txt")]
    assert told(before, now) == [("changed", "edited"), ("new", "added"), ("gone", "lost")]


def test_a_document_that_moved_did_not_change():
    assert told([document("same", "a.txt", 3)], [document("same", "b.txt", 9)]) == []


def test_a_chapter_is_known_by_its_title_before_its_line():
    before = [document("one", line=1, title="I"), document("two", line=9, title="II")]
    now = [document("none", line=1, title="Preface"), document("one", line=5, title="I")]
    now += [document("two, edited", line=14, title="II")]
    assert told(before, now) == [("new", "none"), ("changed", "two, edited")]


def test_rows_without_a_title_are_known_by_their_line_alone():
    before = [document("one", line=1), document("two", line=2)]
    assert told(before, [document("two", line=2), document("three", line=3)]) == [
        ("new", "three"),
        ("gone", "one"),
    ]


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 3)), unique_by=lambda pair: pair[0]),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 3)), unique_by=lambda pair: pair[0]),
)
def test_every_difference_is_told_once(before: list[tuple[str, int]], now: list[tuple[str, int]]):
    old, new = {digest for digest, _ in before}, {digest for digest, _ in now}
    changes = told(
        [document(digest, line=line) for digest, line in before],
        [document(digest, line=line) for digest, line in now],
    )
    counts = {kind: sum(1 for each, _ in changes if each == kind) for kind in ("new", "changed", "gone")}
    assert counts["new"] + counts["changed"] == len(new - old)
    assert counts["gone"] + counts["changed"] == len(old - new)
    assert {digest for _, digest in changes} <= old ^ new
