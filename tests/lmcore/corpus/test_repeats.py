"""Passages that stand twice are found exactly, and cut so that nothing is left to find."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lmcore.corpus import chunks, repeats
from lmcore.corpus import pieces as pieces_module
from lmcore.corpus.document import Decision, Document, digest_of, read, write
from lmcore.corpus.passages import write_landmarks
from lmcore.corpus.repeats import Cut, find_repeats
from lmcore.corpus.settings import RepeatsConfig
from lmcore.corpus.split import without

FolderOf = Callable[..., Path]
NewFolder = Callable[[str], Path]


def words(start: int, end: int) -> str:
    return " ".join(f"w{number}" for number in range(start, end))


def folder_with(folder: Path, texts: list[str]) -> Path:
    rows = [Document(f"s#{n}", "s", "f", n, "", text, digest_of(text)) for n, text in enumerate(texts)]
    folder.mkdir(exist_ok=True)
    write(folder / "documents.parquet", Document, rows)
    write(folder / "decisions.parquet", Decision, [])
    return folder


def find(given: Path, out: Path, config: RepeatsConfig, **options) -> tuple[list[Cut], list[Decision], dict]:
    out.mkdir()
    facts = find_repeats(given, [given], out, config, **options)
    return list(read(out / "cuts.parquet", Cut)), list(read(out / "decisions.parquet", Decision)), facts


def texts_left(given: Path, cuts: list[Cut], decisions: list[Decision]) -> list[str]:
    gone = {row.id for row in decisions}
    return [
        without(row.text, sorted((cut.begin, cut.end) for cut in cuts if cut.id == row.id))
        for row in read(given / "documents.parquet", Document)
        if row.id not in gone
    ]


def test_a_passage_of_fifty_words_goes_and_one_of_forty_nine_stays(tmp_path: Path):
    long = f"{words(0, 100)}. {words(100, 200)}"
    short = f"Before it,\n(W80 w81; {words(82, 130)}!) and {words(300, 330)} {words(1, 50)} behind."
    given = folder_with(tmp_path / "in", [short, long])
    cuts, decisions, facts = find(given, tmp_path / "out", RepeatsConfig())
    begin, end = short.index("(W80"), short.index(" and w300")
    assert cuts == [Cut("s#0", begin, end, 50, "s#1", long.index("w80 "))]
    assert not decisions
    assert facts == {
        "documents": 2,
        "documents_cut": 1,
        "cuts": 1,
        "words_cut": 50,
        "characters_cut": end - begin,
        "rejected": 0,
    }
    assert texts_left(given, cuts, decisions)[0].startswith("Before it,\n\nand w300")


def test_within_a_document_the_first_occurrence_stays(tmp_path: Path):
    text = f"{words(0, 60)} middle {words(0, 60)} end"
    cuts, _, _ = find(folder_with(tmp_path / "in", [text]), tmp_path / "out", RepeatsConfig())
    assert cuts == [Cut("s#0", text.rindex("w0 "), text.rindex(" end"), 60, "s#0", 0)]


def test_what_is_repeated_on_and_on_is_left_once(tmp_path: Path):
    given = folder_with(tmp_path / "in", ["ha " * 500])
    cuts, decisions, _ = find(given, tmp_path / "out", RepeatsConfig())
    assert texts_left(given, cuts, decisions) == ["ha " * 49 + "ha"]


def test_too_little_left_goes_as_a_whole_with_its_reason(tmp_path: Path):
    given = folder_with(tmp_path / "in", [words(0, 500), f"{words(100, 200)} {words(900, 919)}"])
    cuts, decisions, facts = find(given, tmp_path / "out", RepeatsConfig())
    reason = "19 words are left, the rest stands in other documents"
    assert decisions == [Decision("s#1", "repeats", "repeated", 19.0, 20.0, reason)]
    assert (facts["documents"], facts["rejected"], len(cuts)) == (1, 1, 1)


def test_documents_that_went_before_keep_nothing(tmp_path: Path):
    given = folder_with(tmp_path / "in", [words(0, 500), f"{words(100, 200)} {words(900, 950)}"])
    write(given / "decisions.parquet", Decision, [Decision("s#0", "filter", "length", 1.0, 2.0, "long")])
    assert find(given, tmp_path / "out", RepeatsConfig())[0] == []


def test_what_others_went_for_is_kept():
    with pytest.raises(ValidationError, match=r"min_left_words 60 is above min_words 50; lower it"):
        RepeatsConfig(min_left_words=60)


def windows_of(texts: list[str], length: int) -> Counter:
    """How often each run of words stands there, in places that do not overlap."""
    found: Counter = Counter()
    for run in (text.split() for text in texts):
        ends: dict[tuple[str, ...], int] = {}
        for at in range(len(run) - length + 1):
            window = tuple(run[at : at + length])
            if ends.get(window, 0) <= at:
                found[window] += 1
                ends[window] = at + length
    return found


@given(
    texts=st.lists(st.lists(st.sampled_from("abc"), max_size=60).map(" ".join), max_size=6),
    left=st.integers(0, 10),
)
@example(texts=["a " * 11], left=0)
@example(texts=["a " * 37, "a " * 15], left=0)
@settings(max_examples=60)
def test_no_run_of_words_stands_twice_in_what_is_left_and_none_is_lost(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], left: int
):
    root = tmp_path_factory.mktemp("root")
    config = RepeatsConfig(min_words=10, min_left_words=left)
    given = folder_with(root / "in", texts)
    cuts, decisions, _ = find(given, root / "out", config)
    remain = texts_left(given, cuts, decisions)
    assert max(windows_of(remain, 10).values(), default=1) == 1
    for cut in cuts:
        text, first = texts[int(cut.id[2:])], texts[int(cut.first_id[2:])]
        passage = text[cut.begin : cut.end]
        assert first[cut.first_begin :].startswith(passage)
        assert len(passage.split()) == cut.words
    if not left:
        # What is cut in the first place stands whole elsewhere: no word is lost but to the seams.
        assert set(" ".join(texts).split()) == set(" ".join(remain).split())
    again = folder_with(root / "again", remain)
    cuts, decisions, _ = find(again, root / "twice", config)
    assert (cuts, decisions) == ([], [])


def test_long_copied_passages_are_found_wherever_they_stand(tmp_path: Path):
    # An oracle of another kind: all windows of 50 words of 40 texts, in plain Python.
    draw = random.Random(5)
    common = ["the", "of", "and", "to", "in", "is", "it", "a", "on", "as"]
    pool = [" ".join(draw.choices(common, k=80)) for _ in range(9)]
    texts = [
        " ".join(draw.choice([*pool, words(n * 1000 + k * 60, n * 1000 + k * 60 + 60)]) for k in range(5))
        for n in range(40)
    ]
    given = folder_with(tmp_path / "in", texts)
    cuts, decisions, _ = find(given, tmp_path / "out", RepeatsConfig(min_left_words=0))
    before, after = windows_of(texts, 50), windows_of(texts_left(given, cuts, decisions), 50)
    assert max(before.values()) > 1
    assert max(after.values()) == 1
    # Whole passages of the pool are all still there.
    remain = "\n".join(" ".join(text.split()) for text in texts_left(given, cuts, decisions))
    assert all(passage in remain for passage in pool)


def test_the_order_of_the_input_cores_and_pieces_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(repeats, "chunks_of", lambda file: chunks.chunks_of(file, 2_000))
    texts = [f"{words(n, n + 70)} {words(9000, 9080)} {words(n + 7, n + 80)}" for n in range(0, 2000, 53)]
    given = folder_with(tmp_path / "in", texts)
    outputs = []
    for name, options in {
        "one": {},
        "kept": {"pieces": tmp_path / "k"},
        "again": {"pieces": tmp_path / "k"},
    }.items():
        find(given, tmp_path / name, RepeatsConfig(), **options)
        outputs.append({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()})
    with monkeypatch.context() as patch:
        patch.setattr(pieces_module, "SMALL", 0)
        find(given, tmp_path / "two cores", RepeatsConfig(), cores=2)
    outputs.append({file.name: file.read_bytes() for file in (tmp_path / "two cores").iterdir()})
    assert all(output == outputs[0] for output in outputs)
    by_name = {row.id: row for row in read(given / "documents.parquet", Document)}
    turned = tmp_path / "turned"
    turned.mkdir()
    write(turned / "documents.parquet", Document, list(by_name.values())[::-1])
    write(turned / "decisions.parquet", Decision, [])
    cuts = find(turned, tmp_path / "turned out", RepeatsConfig())[0]
    assert sorted(map(repr, cuts)) == sorted(map(repr, read(tmp_path / "one" / "cuts.parquet", Cut)))


def test_only_the_chunk_that_changed_is_searched_for_landmarks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = []
    monkeypatch.setattr(repeats, "chunks_of", lambda file: chunks.chunks_of(file, 2_000))
    monkeypatch.setattr(
        repeats, "write_landmarks", lambda *given: (made.append(given[1].digest), write_landmarks(*given))
    )
    texts = [words(n, n + 60) for n in range(0, 6000, 60)]
    said: list[str] = []
    kept = {"pieces": tmp_path / "kept", "say": said.append}
    find(folder_with(tmp_path / "few", texts), tmp_path / "a", RepeatsConfig(), **kept)
    assert len(made) > 5
    made.clear()
    find(
        folder_with(tmp_path / "more", [*texts, words(7000, 7060)]),
        tmp_path / "b",
        RepeatsConfig(),
        **kept,
    )
    assert [line.partition(" parts ")[2] for line in said] == [
        "are as they were and taken over; the rest is read"
    ]
    assert 1 <= len(made) <= 2
