"""What differs between two products, in words; documents by hand-worked lists."""

from __future__ import annotations

import json
import shutil

from hypothesis import given
from hypothesis import strategies as st

from lmcore.batching.seen import SeenDocument
from tasks.artifacts import Checkpoint, Conversations
from tasks.lineage import diff, trace
from tasks.lineage.diff import Side, as_json, as_text
from tasks.lineage.diff.documents import compare, documents_behind


def side_of(shop, model, title: str, scores=None) -> Side:
    root = trace(shop.workspace.root, model)
    return Side(title, root, scores or {}, documents_behind(shop.workspace, root))


def topics(was: Side, now: Side) -> dict[str, diff.Topic]:
    return {topic.name: topic for topic in diff.diff(was, now).topics}


def test_each_difference_is_named_and_what_is_the_same_is_said_too(shop, letters):
    was = side_of(shop, shop.model(letters), "mine v1", {"test/bits_per_byte": 1.5})
    later = {**letters, "b.txt": "dear b again", "d.txt": "dear d"}
    del later["c.txt"]
    code = {"lmcore.train.loop:train": "changed", "lmcore.nn.norm:LayerNorm": "cc"}
    model = shop.model(later, licence="CC0-1.0", steps=40, vocab_size=500, code=code)
    now = side_of(shop, model, "mine v2", {"test/bits_per_byte": 1.4})
    found = topics(was, now)
    assert found["Sources"].details == (
        "letters/b.txt changed", "letters/c.txt is gone", "letters/d.txt is new",
        "licence of letters: “my own” -> “CC0-1.0”",
    )  # fmt: skip
    assert found["Sources"].sentence == "1 new, 1 gone, 2 changed; 5 files of 2 sources now"
    assert (
        found["Documents"].sentence
        == "1 new, 1 gone, 1 rewritten, 2 the same (train 3, validation 0, test 1)"
    )
    assert "letters/b.txt:1 “b” was rewritten (train)" in found["Documents"].details
    assert found["Tokenizer"].word == "changed"
    assert found["Settings"].details == (
        "vocab_size 400 -> 500   (Tokenizer mine)", "train.steps 30 -> 40   (Pretrained model mine)"
    )  # fmt: skip
    assert found["Code"].details == (
        "lmcore.nn.norm.LayerNorm is new   (pretrain_model)",
        "lmcore.nn.norm.RMSNorm is no longer used   (pretrain_model)",
        "lmcore.train.loop.train changed   (pretrain_model)",
    )
    assert (found["Steps"].word, found["Libraries"].word) == ("same", "same")
    assert found["Scores"].details == ("bits per byte 1.5 -> 1.4 (-0.1)",)
    assert found["Scores"].sentence == "on the test side, the same 1 document for both"
    summary = diff.diff(was, now).summary
    assert summary == (
        "changed: sources, documents, tokenizer, settings, code, scores; the same: steps, libraries"
    )


def test_scores_on_other_test_documents_are_not_to_be_compared(shop, letters):
    was = side_of(shop, shop.model(letters), "v1", {"test/bits_per_byte": 1.5})
    now = side_of(shop, shop.model({**letters, "two.txt": "dear two"}), "v2", {"test/bits_per_byte": 1.4})
    assert topics(was, now)["Scores"].sentence.endswith(
        "taken on other documents (1 and 2, of which 1 are the same), so they do not compare"
    )


def test_models_that_answer_are_compared_by_the_questions_that_they_were_asked(shop, letters):
    def side(title: str, letters: dict[str, str], train: int, asked: dict[str, set[str]], test: str) -> Side:
        base = shop.model(letters, name=title)
        facts = {"train_conversations": train, "validation_conversations": 1, "test_conversations": 1}
        talk = shop.make(
            Conversations, "write_conversations", title, {"own": shop.source("talk", {"t.jsonl": title})},
            facts=facts, texts={"test.jsonl": test},
        )  # fmt: skip
        model = shop.make(Checkpoint, "finetune_model", title, {"base": base, "conversations": talk})
        root = trace(shop.workspace.root, model)
        return Side(title, root, {"test/accuracy": 0.5}, documents_behind(shop.workspace, root), asked)

    was = side("v1", letters, 2, {"train": {"a", "b"}, "validation": {"c"}, "test": {"d"}}, "d")
    more = {**letters, "new.txt": "dear all"}
    now = side("v2", more, 3, {"train": {"a", "e", "c"}, "validation": {"f"}, "test": {"d"}}, "d")
    found = topics(was, now)
    assert found["Questions"].sentence == (
        "train 2 -> 3, validation 1, test 1; of your own 2 new, 1 gone, 1 on another side, 2 the same"
    )
    assert found["Documents"].word == "changed"
    assert found["Scores"].sentence == "on the test side, the same 1 question for both"
    other = topics(now, side("v3", more, 3, {"train": {"a"}, "validation": {"c"}, "test": {"g"}}, "g"))
    assert other["Documents"].word == "same"
    assert "on other questions (1 and 1), so they do not compare" in other["Scores"].sentence


def test_a_model_does_not_differ_from_itself(shop, letters):
    side = side_of(shop, shop.model(letters), "mine v1", {"test/bits_per_byte": 1.5})
    difference = diff.diff(side, side)
    assert {topic.word for topic in difference.topics} == {"same"}
    assert difference.summary == "mine v1 and mine v1 are the same, byte for byte."


def test_experiments_of_other_names_are_compared_step_by_step(shop, letters):
    was = side_of(shop, shop.model(letters), "mine")
    now = side_of(shop, shop.model(letters, name="yours", steps=40), "yours")
    found = topics(was, now)
    assert found["Settings"].details == ("train.steps 30 -> 40   (Pretrained model yours)",)
    assert found["Steps"].sentence == "the same 8"


def test_a_step_more_and_other_libraries_are_named(shop, letters):
    model = shop.model(letters)
    base = side_of(shop, model, "base")
    tuned = shop.make(Checkpoint, "finetune_model", "mine-full", {"base": model})
    found = topics(base, side_of(shop, tuned, "tuned"))
    assert found["Steps"].details == ("Finetuned model mine-full is new (finetune_model)",)
    assert found["Libraries"].word == "same"
    shop.environment = {"cpu": "x86_64-avx2", "torch": "2.14.0"}
    found = topics(base, side_of(shop, shop.model(letters, steps=31), "again"))
    assert found["Libraries"].details == ("torch 2.13.0 -> 2.14.0",)


def test_documents_that_were_replaced_come_out_of_dvcs_cache(shop, letters):
    from tasks.engine.store import Copies
    from tasks.versioning import take

    first = shop.model(letters)
    corpus = trace(shop.workspace.root, first).inputs[0].node.inputs[0].node
    version = take(shop.workspace.root, shop.workspace.path(corpus.address))
    shop.store.remember_copy(corpus.manifest.key, Copies("", version))
    second = side_of(shop, shop.model({**letters, "d.txt": "dear d"}), "v2")
    found = topics(side_of(shop, first, "v1"), second)["Documents"]
    assert found.details == ("letters/d.txt:1 “d” is new (train)",)
    shutil.rmtree(shop.workspace.root / ".dvc" / "cache")
    found = topics(side_of(shop, first, "v1"), second)["Documents"]
    assert (found.word, found.sentence) == ("unknown", "no copy is left of the documents of v1")


def test_long_lists_are_cut_in_a_terminal_and_whole_in_json(shop, letters):
    was = side_of(shop, shop.model(letters), "v1")
    now = side_of(shop, shop.model({f"{number:02}.txt": f"dear {number}" for number in range(20)}), "v2")
    difference = diff.diff(was, now)
    assert "    and 22 more; --all lists them" in as_text(difference, 2)
    assert "more; --all" not in as_text(difference)
    document = json.loads(as_json(difference))
    assert len(document["topics"][1]["details"]) == 24


def doc(
    digest: str, side: str = "train", file: str = "a.txt", line: int = 1, title: str = ""
) -> SeenDocument:
    return SeenDocument(digest, side, "letters", file, line, title)


def test_documents_are_one_by_text_then_by_title_then_by_line():
    was = [
        doc("1"),
        doc("2", title="two", line=5),
        doc("3", line=9),
        doc("4", file="b.txt"),
        doc("5", line=30),
    ]
    now = [doc("1", "test", "z.txt", 7), doc("2b", title="two", line=6), doc("3b", line=9), doc("6", line=31)]
    changes = compare(was, now)
    assert [(one.digest, other.digest) for one, other in changes.rewritten] == [("2", "2b"), ("3", "3b")]
    assert [each.digest for each in changes.gone] == ["4", "5"]
    assert [each.digest for each in changes.new] == ["6"]
    assert [(one.side, other.side) for one, other in changes.moved] == [("train", "test")]
    assert changes.num_same == 1


documents = st.lists(
    st.builds(
        doc, st.sampled_from("0123456789"), st.sampled_from(("train", "test")), st.sampled_from("ab"),
        st.integers(1, 4), st.sampled_from(("", "x", "y")),
    ),
    unique_by=lambda each: each.digest,
)  # fmt: skip


@given(documents, documents)
def test_every_document_of_both_lists_is_accounted_for_once(was, now):
    changes = compare(was, now)
    before = {each.digest for each in changes.gone} | {one.digest for one, _ in changes.rewritten}
    after = {each.digest for each in changes.new} | {other.digest for _, other in changes.rewritten}
    assert before == {each.digest for each in was} - {each.digest for each in now}
    assert after == {each.digest for each in now} - {each.digest for each in was}
    assert len(changes.gone) + len(changes.rewritten) + changes.num_same == len(was)
    assert len(changes.new) + len(changes.rewritten) + changes.num_same == len(now)
    back = compare(now, was)
    assert {each.digest for each in back.new} == {each.digest for each in changes.gone}


def test_what_is_not_on_record_is_said_to_be_unknown(shop, letters):
    model = shop.model(letters)
    shutil.rmtree(shop.workspace.path("data"))
    shutil.rmtree(shop.workspace.private / "manifests")
    side = side_of(shop, model, "mine v1")
    assert {topic.word for topic in topics(side, side).values()} == {"unknown"}


def test_behind_a_gap_nothing_is_said_to_be_new_or_the_same(shop, letters):
    was = side_of(shop, shop.model(letters), "v1")
    model = shop.model(letters, steps=40)
    shutil.rmtree(shop.workspace.path("data/corpora"))
    corpus = was.root.inputs[0].node.inputs[0].node.manifest
    (shop.workspace.private / "manifests" / f"{corpus.key}.json").unlink()
    found = topics(was, side_of(shop, model, "v2"))
    assert found["Settings"].details == ("train.steps 30 -> 40   (Pretrained model mine)",)
    unknown = {name for name, topic in found.items() if topic.word == "unknown"}
    assert unknown == {"Sources", "Documents", "Tokenizer", "Steps", "Code", "Libraries", "Scores"}
    assert "the record of data/corpora/mine is gone" in found["Sources"].sentence
