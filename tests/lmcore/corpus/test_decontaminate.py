"""Evaluation items that leaked into documents are found, and what only looks like them is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lmcore.corpus import chunks
from lmcore.corpus import decontaminate as module
from lmcore.corpus import pieces as pieces_module
from lmcore.corpus.decontaminate import Contamination, Overlap, decontaminate, overlap
from lmcore.corpus.document import Decision, Document, digest_of, read, write
from lmcore.corpus.settings import DecontaminateConfig

ITEM = (
    "A farmer has seventeen sheep and all but nine of them run away through the open gate at night. "
    "How many sheep are left in the field when the sun comes up again?"
)
SPOKEN = ITEM.split()


def around(passage: str) -> str:
    return f"Something about the weather of the day before. {passage} And then we all went home for dinner."


def folder_with(folder: Path, texts: list[str], name: str = "s") -> Path:
    rows = [Document(f"{name}#{n}", name, "f", n, "", text, digest_of(text)) for n, text in enumerate(texts)]
    folder.mkdir(exist_ok=True)
    write(folder / "documents.parquet", Document, rows)
    write(folder / "decisions.parquet", Decision, [])
    return folder


def config(**more) -> DecontaminateConfig:
    return DecontaminateConfig(against=("questions",), **more)


def check(
    root: Path, texts: list[str], items: list[str], settings: DecontaminateConfig | None = None, **options
) -> tuple[list[Decision], list[Contamination], dict]:
    given, questions = folder_with(root / "in", texts), folder_with(root / "questions", items, "q")
    out = root / f"out{len(list(root.iterdir()))}"
    out.mkdir()
    facts = decontaminate(given, [given], [questions], out, settings or config(), **options)
    rows = read(out / "contamination.parquet", Contamination)
    return list(read(out / "decisions.parquet", Decision)), list(rows), facts


LEAKS = {
    "whole": around(ITEM),
    "over lines": around("\n".join(SPOKEN)),
    "other case and punctuation": around(ITEM.upper().replace(" ", " -- ").replace("?", "!!")),
    "thirteen words": around(" ".join(SPOKEN[4:17])),
}
NO_LEAKS = {
    "twelve words": around(" ".join(SPOKEN[4:16])),
    "told otherwise": around(
        "Of the seventeen sheep that a farmer has, only nine stay when the gate is open at night. "
        "When the sun is up again, how many of them can be counted in the field?"
    ),
    "nothing": around("Nobody spoke of sheep."),
}


def test_planted_leaks_are_found_and_nothing_else(tmp_path: Path):
    texts = [*LEAKS.values(), *NO_LEAKS.values()]
    decisions, rows, facts = check(tmp_path, texts, [ITEM, "Too short to be looked for."])
    assert [row.id for row in decisions] == [f"s#{n}" for n in range(len(LEAKS))]
    assert [(row.rule, row.value) for row in decisions[:1] + decisions[-1:]] == [
        ("evaluation_item", 1.0),
        ("evaluation_ngram", 1.0),
    ]
    total = len(SPOKEN) - 12
    assert [(row.item, row.how, row.ngrams, row.share) for row in rows] == [
        *[("q#0", "removed", total, 1.0)] * 3,
        ("q#0", "removed", 1, 1 / total),
    ]
    assert rows[-1].example == " ".join(SPOKEN[4:17])
    assert texts[3][rows[-1].begin :].startswith(rows[-1].example)
    assert facts == {
        "documents": 3, "rejected": 4, "items": 2, "items_too_short": 1, "items_found": 1,
    }  # fmt: skip


def test_short_items_are_found_as_a_whole(tmp_path: Path):
    item = "Which of the four rivers is the longest?"  # eight words
    texts = [around(item.lower()), around("Which of the four rivers is longest?"), around(ITEM)]
    decisions, _, facts = check(
        tmp_path, texts, [item, "Which of the four rivers is long?", f"{item} {ITEM}"]
    )
    assert [row.id for row in decisions] == ["s#0", "s#2"]
    assert facts["items_too_short"] == 1


def test_a_share_can_be_asked_for(tmp_path: Path):
    half = " ".join(SPOKEN[: len(SPOKEN) // 2 + 6])
    settings = config(definition="item_share", min_share=0.9)
    decisions, rows, _ = check(tmp_path, [around(ITEM), around(half)], [ITEM], settings)
    assert [row.id for row in decisions] == ["s#0"]
    assert [row.how for row in rows] == ["removed", "kept"]


def test_what_many_documents_say_is_no_leak_unless_all_of_an_item_is(tmp_path: Path):
    phrase = " ".join(SPOKEN[:14])
    texts = [around(f"{phrase} number {n}") for n in range(6)]
    decisions, rows, _ = check(tmp_path, texts, [ITEM], config(max_documents=5))
    assert not decisions
    assert [(row.ngrams, row.common, row.how) for row in rows] == [(2, 2, "kept")] * 6
    assert len(check(tmp_path, texts[:5], [ITEM], config(max_documents=5))[0]) == 5
    copied = [around(f"{ITEM} number {n}") for n in range(6)]
    assert len(check(tmp_path, copied, [ITEM], config(max_documents=5))[0]) == 6


def test_documents_that_went_before_do_not_count(tmp_path: Path):
    given = folder_with(tmp_path / "in", [around(ITEM), around(ITEM)])
    write(given / "decisions.parquet", Decision, [Decision("s#0", "filter", "length", 1.0, 2.0, "long")])
    out, questions = tmp_path / "out", folder_with(tmp_path / "questions", [ITEM], "q")
    out.mkdir()
    decontaminate(given, [given], [questions], out, config())
    assert [row.id for row in read(out / "decisions.parquet", Decision)] == ["s#1"]


def test_an_item_that_is_longer_than_a_run_is_always_looked_for():
    with pytest.raises(ValidationError, match=r"min_item_words 14 is above ngram_words 13; lower it"):
        config(min_item_words=14)


def ngrams(text: str, length: int, least: int) -> set[tuple[str, ...]]:
    words = text.split()
    length = min(length, len(words))
    return (
        {tuple(words[at : at + length]) for at in range(len(words) - length + 1)}
        if length >= least
        else set()
    )


def runs(text: str, length: int) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[at : at + length]) for at in range(len(words) - length + 1)}


TEXTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=12).map(" ".join), min_size=1, max_size=5)


@given(texts=TEXTS, items=TEXTS)
@settings(max_examples=50)
def test_evidence_agrees_with_plain_sets(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], items: list[str]
):
    root = tmp_path_factory.mktemp("root")
    _, rows, _ = check(root, texts, items, config(ngram_words=4, min_item_words=3))
    expected = {}
    for n, text in enumerate(texts):
        for m, item in enumerate(items):
            own = ngrams(item, 4, 3)
            if shared := {run for run in own if run in runs(text, len(run))}:
                expected[f"s#{n}", f"q#{m}"] = (len(shared), len(shared) / len(own))
    assert {(row.id, row.item): (row.ngrams, row.share) for row in rows} == expected
    measured = overlap(root / "in" / "documents.parquet", root / "questions" / "documents.parquet", 4, 3)
    everything = {run for text in texts for length in (3, 4) for run in runs(text, length)}
    assert [(row.ngrams, row.shared) for row in measured] == [
        (len(ngrams(item, 4, 3)), len(ngrams(item, 4, 3) & everything)) for item in items
    ]


def test_overlap_of_two_sides_by_hand(tmp_path: Path):
    train = folder_with(tmp_path / "train", ["one two three four five", "six seven eight nine"])
    test = folder_with(
        tmp_path / "test", ["Two, three FOUR five six", "seven eight nine ten", "one two"], "t"
    )
    found = overlap(train / "documents.parquet", test / "documents.parquet", ngram_words=3, min_words=3)
    # "two three four" and "three four five", but not "four five six"; "seven eight nine" of two; too short.
    assert found == [Overlap("t#0", 3, 2, 2 / 3), Overlap("t#1", 2, 1, 0.5), Overlap("t#2", 0, 0, 0.0)]


def test_cores_and_kept_pieces_change_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pieces_module, "SMALL", 0)
    monkeypatch.setattr(module, "chunks_of", lambda file: chunks.chunks_of(file, 1_000))
    texts = [*LEAKS.values(), *NO_LEAKS.values(), *(around(f"Number {n}. {ITEM}") for n in range(30))]
    given, questions = folder_with(tmp_path / "in", texts), folder_with(tmp_path / "q", [ITEM], "q")
    outputs = []
    said: list[str] = []
    kept = {"pieces": tmp_path / "kept", "say": said.append}
    for name, options in {"one": {}, "two": {"cores": 2}, "kept once": kept, "kept twice": kept}.items():
        out = tmp_path / name
        out.mkdir()
        decontaminate(given, [given], [questions], out, config(), **options)
        outputs.append({file.name: file.read_bytes() for file in out.iterdir()})
    assert all(output == outputs[0] for output in outputs)
    (line,) = said  # the second time
    assert line.endswith("parts are as they were and taken over")
