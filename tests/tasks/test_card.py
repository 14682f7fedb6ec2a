"""A model's card: Hugging Face's reader and a Markdown parser are the oracles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from lmcore.lineage import FileEntry, Manifest, digest_of
from tasks.card.facts import CardFacts, Verdict
from tasks.card.publish import CARD, publish
from tasks.card.scores import Measured, Score, measured
from tasks.card.text import body, card, summary
from tasks.costs import total
from tasks.engine.workspace import Workspace
from tasks.lineage.graph import Input, Node, ordered
from tasks.tracking import Journal, Registered, open_store, register, registered
from tasks.tracking.describing import put_first

NASTY = "a | b <script>alert(1)</script> [x](javascript:alert(2)) `c`"
SIDES = {"train_documents": 65, "validation_documents": 26, "test_documents": 39}


def made(step: str, *inputs: Node, settings: Any = None, seconds: float | None = 2.0, **facts: Any) -> Node:
    """A product whose provenance says how long it took."""
    manifest = Manifest(
        step=step, name="letters", key=digest_of(step), key_document={"settings": settings or {}},
        digest=digest_of([step]), files={"a": FileEntry(size=1000, sha256="0" * 64)}, inputs={}, facts=facts,
        environment={"torch": "2.13", "cpu": "x86"},
        provenance={"seconds": seconds, "finished": "2026-11-21T16:54:47+00:00"} if seconds else {},
    )  # fmt: skip
    found = tuple(Input("input", each) for each in inputs)
    return Node(f"models/{step}", "letters", manifest.digest, manifest, found)


def facts_of(
    licence: str = "my own",
    *,
    exercises: Any = None,
    verdict: Verdict | None = None,
    stated: str = "",
    **known: Any,
) -> CardFacts:
    """A model of one source and a few steps."""
    files = {"a.txt": "1" * 64, "b.txt": "2" * 64}
    source = Node(
        "data/sources/letters", "letters", "s", is_source=True, files=files, licence=licence, size=5000
    )
    cleaned = made("clean_documents", source, settings={"filters": [{"type": "length"}]}, rejected=1)
    split = made("split_corpus", made("deduplicate_documents", cleaned, rejected=2), **SIDES)
    told = {"parameters": 40_000, "tokens": 1000, "steps": 10, "training_loss": 2.0, "device": "cpu",
            "precision": "bf16"}  # fmt: skip
    root = made("pretrain_model", split, **told)
    if exercises is not None:
        asked = {"train_conversations": 15, "validation_conversations": 2, "test_conversations": 3}
        talk = made("write_conversations", split, settings={"settings": {"exercises": exercises}}, **asked)
        root = made("finetune_model", root, talk, conversations=12, **told)
    scores = Measured(
        [Score("bits per byte", "all documents", 1.9, 1.8, 2.0, 39)], [], "95 %", "base", "best"
    )
    dials = {"measured": scores, **known}
    costs = total(node.manifest for node in ordered(root) if node.manifest)
    config = {"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "hidden_size": 32,
              "max_position_embeddings": 64, "vocab_size": 400}  # fmt: skip
    dials |= {"verdict": verdict, "cost": costs, "config": config, "licence": stated}
    return CardFacts("letters", 2, "d" * 64, root, **dials)


def tables(markdown: str) -> list[list[list[str]]]:
    """Cells of each row of each table, as a Markdown parser sees them."""
    found: list[list[list[str]]] = []
    is_inside = False
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        is_inside = token.type == "table_open" or (is_inside and token.type != "table_close")
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and is_inside:
            found[-1][-1].append(token.content)
    return found


def test_hugging_face_reads_what_is_meant_for_programs():
    told = ModelCard(card(facts_of())).data
    assert told.model_name == "letters"
    assert told.license == "other"
    assert told.datasets == ["letters"]
    assert told.pipeline_tag == "text-generation"
    (result,) = told.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_split) == ("bits_per_byte", 1.9, "test")


@pytest.mark.parametrize(
    ("stated", "named", "licence"),
    [
        ("Apache-2.0", "apache-2.0", None),
        ("in house only", "other", "in-house-only"),
        ("", "other", "not-stated"),
    ],
)
def test_the_licence_of_the_weights_is_what_somebody_stated(stated: str, named: str, licence: str | None):
    text = card(facts_of(licence="CC0", stated=stated))
    assert (ModelCard(text).data.license, ModelCard(text).data.license_name) == (named, licence)
    assert (f"the weights are passed on under {stated}." in text) == bool(stated)


def test_every_source_stands_there_with_its_licence():
    rows = [row for table in tables(body(facts_of("CC0"))) for row in table]
    assert ["letters", "CC0", "2", "5.0 kB"] in rows


def test_what_nobody_has_stated_is_said_to_be_unstated():
    text = card(facts_of("", measured=None))
    assert "of letters no licence is stated" in text
    assert "**nothing stated**" in text
    assert "**It was not measured**" in text
    assert "The gate has not judged it." in text
    assert "language" not in ModelCard(text).data.to_dict()


def test_what_the_gate_said_is_quoted():
    verdict = Verdict("keep", "keep: it is worse", "2026-11-21T12:00:00+00:00", "reports/judge-1", 1)
    text = body(facts_of(verdict=verdict))
    assert "The gate judged it beside v1 on 2026-11-21: **keep**." in text
    assert "> keep: it is worse" in text


def test_a_model_that_was_taught_to_recite_says_so():
    assert "**Recites**" in body(facts_of(exercises=[{"type": "recite"}]))
    assert "**Memory**" in body(facts_of(exercises=[{"type": "name_source"}]))
    assert "that answers questions" in summary(facts_of(exercises=[]))


def test_a_thin_test_and_a_close_choice_are_named():
    few = Measured(
        [Score("bits per byte", "all documents", 1.9, number=6)], [], "", "base", "it may be noise"
    )
    text = body(facts_of(measured=few))
    assert "the smallest part of it has 6 documents" in text
    assert "**Close choice**" in text


def test_the_summary_of_a_model_that_answers_counts_conversations_and_gives_what_models_are_compared_by():
    scores = [
        Score("ended", "talk", 1.0, number=8),
        Score("rougeL", "talk", 0.4, number=8, is_main=True),
        Score("accuracy", "colours", 0.7, number=5, is_main=True),
    ]
    others = [Score("talk rougeL", "base", 0.1), Score("colours accuracy", "base", 0.2)]
    facts = facts_of(exercises=[], measured=Measured(scores, others, "", "lora", ""))
    assert "It learned from 65 documents and 12 conversations of 1 source." in summary(facts)
    assert "On the test side: 0.4 rougeL on talk, 0.7 accuracy on colours (more is better)." in summary(facts)
    text = body(facts)
    assert "It was taught by 12 conversations of 15, those that fit" in text
    assert "Beside it were tested (talk rougeL): base 0.1.\n" in text
    assert "Beside it were tested (colours accuracy): base 0.2.\n" in text
    assert "the smallest part of it has 5 questions" in text


def test_what_was_forgotten_since_stands_on_the_card():
    known = "letters/a.txt: she asked"
    assert f"saw what was forgotten since ({known})" in body(facts_of(forgotten=known))
    assert "Forgotten" not in body(facts_of())


def test_the_cost_is_that_of_all_steps_behind_it():
    assert "5 steps took 8.0 s" not in body(facts_of())
    assert "4 steps took 8.0 s, one after the other" in body(facts_of())
    assert "1,000 tokens learned from" in body(facts_of())


def test_texts_from_outside_break_no_table_and_become_no_markup():
    other = [Score(NASTY, NASTY, 1.0)]
    text = body(facts_of(NASTY, measured=Measured(other, other, NASTY, NASTY, NASTY)))
    for table in tables(text):
        assert {len(row) for row in table} == {len(table[0])}
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert "<script" not in page
    assert 'href="javascript' not in page


# -- in the registry --------------------------------------------------------------------------------------


@pytest.fixture
def version(workspace: Path, tmp_path: Path) -> Registered:
    """A registered model of which only the registry knows anything."""
    import torch

    from lmcore.interop.hugging_face import save_folder
    from lmcore.models.settings import TransformerConfig
    from lmcore.models.transformer import Transformer
    from lmcore.tokenizers.bpe import train
    from lmcore.tokenizers.control import END_OF_TEXT
    from lmcore.tokenizers.settings import TokenizerConfig

    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    document = train(
        iter(["the cat sat on the mat " * 9]), TokenizerConfig.model_validate({"vocab_size": 265})
    )
    (tokenizer / "tokenizer.json").write_text(json.dumps(document))
    (tokenizer / "tokenizer_config.json").write_text(json.dumps({"eos_token": END_OF_TEXT}))
    torch.manual_seed(0)
    dials = {"width": 16, "num_layers": 1, "num_heads": 2, "context_tokens": 32}
    save_folder(Transformer(TransformerConfig.model_validate(dials), 265), tokenizer, tmp_path / "model")
    return register(
        workspace, tmp_path / "model", name="tiny", alias="champion", key="k", digest="d",
        metrics={"test/bits_per_byte": 2.5, "test/minus_reference": 0.1}, description="made by hand",
    )  # fmt: skip


def test_a_version_of_which_all_records_are_gone_still_has_a_card(workspace: Path, version: Registered):
    scores = measured(Workspace(workspace), version)
    assert scores is not None
    assert [(score.metric, score.value) for score in scores.scores] == [("bits per byte", 2.5)]
    publish(workspace, "tiny", 1)
    text = (version.home / CARD).read_text()
    assert "2.5" in text
    assert "**Incomplete**" in text
    assert ModelCard(text).data.model_name == "tiny"


def test_publishing_again_changes_nothing_and_keeps_what_was_described(workspace: Path, version: Registered):
    def description() -> str:
        return str(open_store(workspace).get_model_version("tiny", "1").description)

    publish(workspace, "tiny", 1)
    first = description()
    assert first.endswith("made by hand")
    publish(workspace, "tiny", 1)
    assert description() == first
    Journal(workspace, "tiny").append(
        "verdict", challenger="d", champion=None, word="promote", sentence="promote: it writes", report=""
    )
    publish(workspace, "tiny", 1)
    assert "**The gate said: promote**" in description()
    assert description().count("The model card") + description().count(CARD) == 1
    put_first(workspace, "tiny", 1, "other words")
    assert "The gate said" not in description()
    assert description().endswith("made by hand")


def test_what_is_attached_does_not_disturb_the_model(workspace: Path, version: Registered):
    publish(workspace, "tiny", 1)
    found = registered(workspace, "tiny", "champion")
    assert found is not None
    assert (found.home / "MLmodel").is_file()
    assert not list(found.home.glob(".README*"))
