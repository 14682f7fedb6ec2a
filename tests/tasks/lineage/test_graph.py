"""From a product back to its files: by manifests, by what is remembered, by a record."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from lmcore.config import SettingsError
from tasks.artifacts import Corpus, RawDocuments
from tasks.lineage import as_json, as_text, ordered, sources_of, trace
from tasks.lineage.find import find_product
from tasks.lineage.graph import gaps_of


def test_a_trace_ends_in_every_source_file_and_visits_each_product_once(shop, letters):
    root = trace(shop.workspace.root, shop.model(letters))
    nodes = ordered(root)
    assert [node.address for node in nodes if not node.is_source][-3:] == [
        "data/tokenizers/mine", "data/shards/mine", root.address
    ]  # fmt: skip
    assert len(nodes) == 10
    assert nodes[-1] is root
    found = {source.name: source for source in sources_of(root)}
    assert found["letters"].files.keys() == letters.keys()
    assert found["bible"].licence == "Public domain"
    assert gaps_of(root) == []


def test_what_two_products_read_is_one_object(shop, letters):
    root = trace(shop.workspace.root, shop.model(letters))
    assert {parameter for parameter, _ in root.inputs} == {"shards", "tokenizer"}
    by_name = dict(root.inputs)
    assert by_name["tokenizer"] is dict(by_name["shards"].inputs)["tokenizer"]


def test_forty_layers_of_diamonds_are_traced_at_once(shop):
    left = right = shop.make(RawDocuments, "ingest_source", "zero", {})
    for number in range(40):
        both = {"left": left, "right": right}
        left = shop.make(Corpus, "split_corpus", f"left{number}", both)
        right = shop.make(Corpus, "split_corpus", f"right{number}", both, settings={"seed": 1})
    root = trace(shop.workspace.root, left)
    assert len(ordered(root)) == 80
    assert len(as_text(root).splitlines()) == 159
    assert len(json.loads(as_json(root))["products"]) == 80


def test_versions_that_were_replaced_are_found_among_the_remembered(shop, letters):
    first = shop.model(letters)
    before = as_json(trace(shop.workspace.root, first))
    second = shop.model({**letters, "d.txt": "dear d"})
    assert as_json(trace(shop.workspace.root, first)) == before
    assert as_json(trace(shop.workspace.root, second)) != before


def test_a_manifest_that_is_gone_is_a_gap_and_its_record_fills_it(shop, letters, tmp_path):
    model = shop.model(letters)
    whole = as_json(trace(shop.workspace.root, model))
    (tmp_path / "lineage.json").write_text(whole)
    shutil.rmtree(shop.workspace.path("data/corpora"))
    shutil.rmtree(shop.workspace.private / "manifests")
    root = trace(shop.workspace.root, model)
    assert [gap.address for gap in gaps_of(root)] == ["data/corpora/mine"]
    assert "its manifest is gone" in as_text(root)
    assert sources_of(root) == []
    again = trace(shop.workspace.root, model, tmp_path / "lineage.json")
    assert as_json(again) == whole
    assert gaps_of(again) == []
    assert "split_corpus, made elsewhere" in as_text(again)


@pytest.mark.parametrize("text", ["", "[]", '{"products": {"x": {"digest": "1", "inputs": []}}}', "{"])
def test_a_record_of_another_form_is_no_help_and_no_harm(shop, letters, tmp_path, text):
    (tmp_path / "lineage.json").write_text(text)
    model = shop.model(letters)
    assert gaps_of(trace(shop.workspace.root, model, tmp_path / "lineage.json")) == []


def test_a_gap_stays_a_gap_in_its_record(shop, letters, tmp_path):
    model = shop.model(letters)
    shutil.rmtree(shop.workspace.path("data/corpora"))
    shutil.rmtree(shop.workspace.private / "manifests")
    record = tmp_path / "lineage.json"
    record.write_text(as_json(trace(shop.workspace.root, model)))
    shutil.rmtree(shop.workspace.path("data"))
    again = trace(shop.workspace.root, model, record)
    assert [gap.address for gap in gaps_of(again)] == ["data/corpora/mine"]


def test_two_versions_of_one_address_have_two_names_in_the_record(shop):
    first = shop.make(Corpus, "split_corpus", "mine", {})
    second = shop.make(Corpus, "split_corpus", "mine", {"before": first})
    document = json.loads(as_json(trace(shop.workspace.root, second)))
    older = f"data/corpora/mine@{first.digest[:12]}"
    assert document["products"].keys() == {"data/corpora/mine", older}
    assert document["products"]["data/corpora/mine"]["inputs"] == {"before": [older]}


@pytest.mark.parametrize(
    "called",
    ["mine", "{address}", "{address}/", "pretrain_model mine", "{key}", "{digest}", "pretrain_model-{key}"],
)
def test_a_product_is_found_by_each_of_its_names(shop, letters, called):
    model = shop.model(letters)
    name = called.format(address=model.address, key=model.key[:12], digest=model.digest[:9].upper())
    found = find_product(shop.workspace, name)
    assert replace(found.artifact, name="mine").digest == model.digest
    assert found.artifact.address == model.address
    assert found.title == model.address


def test_a_version_that_was_replaced_is_found_by_its_digest(shop, letters):
    shop.model(letters)
    before = find_product(shop.workspace, "data/corpora/mine").artifact
    shop.model({**letters, "d.txt": "dear d"})
    found = find_product(shop.workspace, before.digest[:12]).artifact
    assert (found.digest, found.address) == (before.digest, "data/corpora/mine")


@pytest.mark.parametrize(
    ("called", "says"),
    [
        ("yours", "no product 'yours': expected a registered model, an address"),
        ("abcdef", "no product 'abcdef'"),
        ("mine@v1", "no version 'v1' of a registered model 'mine': there is none of that name"),
        ("letters", "letters is a source, no product; what was read from it is data/raw/letters"),
        ("data/sources/bible", "what was read from it is data/raw/bible"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(shop, letters, called, says):
    shop.model(letters)
    with pytest.raises(SettingsError, match=r"^[^\n]+$") as raised:
        find_product(shop.workspace, called)
    assert says in str(raised.value)
