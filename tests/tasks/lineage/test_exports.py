"""OpenLineage and CycloneDX: their libraries write, the standard's schema and hand-worked counts judge."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from uuid import UUID

import pytest

from lmcore.config import SettingsError
from tasks.artifacts import Checkpoint
from tasks.lineage import ordered, trace
from tasks.lineage.exports.cyclonedx import bill_of_materials
from tasks.lineage.exports.openlineage import events

SCORES = {"test/bits_per_byte": 1.5, "test/bits_per_byte_low": 1.4, "test/bits_per_byte_high": 1.6}


@pytest.fixture
def root(shop, letters):
    return trace(shop.workspace.root, shop.model(letters, licence="CC0-1.0"))


def test_each_step_is_a_job_that_starts_and_ends(root):
    found = [json.loads(line) for line in events(root).splitlines()]
    assert [event["eventType"] for event in found] == ["START", "COMPLETE"] * 8
    for start, end in zip(found[::2], found[1::2], strict=True):
        assert start["run"]["runId"] == end["run"]["runId"] == str(UUID(start["run"]["runId"]))
        began, ended = (datetime.fromisoformat(event["eventTime"]) for event in (start, end))
        assert (ended - began).total_seconds() in (2.0, 60.0)
    last = found[-1]
    assert last["job"]["name"] == "pretrain_model mine"
    assert {each["name"] for each in last["inputs"]} == {"data/shards/mine", "data/tokenizers/mine"}
    assert [each["name"] for each in last["outputs"]] == [root.address]
    assert last["outputs"][0]["facets"]["version"]["datasetVersion"] == root.digest
    parameters = last["run"]["facets"]["executionParameters"]["parameters"]
    assert {"key": "train.steps", "value": "30"} in parameters
    assert len({event["run"]["facets"]["parent"]["run"]["runId"] for event in found}) == 1


def test_sources_carry_their_files_and_licence(root):
    found = [json.loads(line) for line in events(root).splitlines()]
    inputs = {each["name"]: each["facets"] for event in found for each in event["inputs"]}
    letters = inputs["data/sources/letters"]
    assert letters["lmworks_files"]["sha256"].keys() == {"a.txt", "b.txt", "c.txt", "t.txt"}
    assert letters["tags"]["tags"][0]["value"] == "CC0-1.0"
    assert all("_producer" in facet and "_schemaURL" in facet for facet in letters.values())


def test_what_was_made_elsewhere_is_a_job_without_a_run(shop, letters):
    root = trace(shop.workspace.root, shop.model(letters))
    for note in [*shop.workspace.root.glob("**/provenance.json")]:
        note.unlink()
    for note in (shop.workspace.private / "manifests").iterdir():
        note.unlink()
    root = trace(shop.workspace.root, _artifact(root))
    found = [json.loads(line) for line in events(root).splitlines()]
    assert len(found) == 8
    assert not any("run" in event for event in found)


def _artifact(root) -> Checkpoint:
    return Checkpoint(root.address, root.name, root.digest, root.manifest.key)


def test_the_bill_of_materials_is_valid_and_the_same_each_time(root):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = bill_of_materials(root, "mine", "v3", SCORES)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert bill_of_materials(root, "mine", "v3", SCORES) == text


def test_the_bill_names_the_model_its_data_and_its_libraries(root):
    bill = json.loads(bill_of_materials(root, "mine", "v3", SCORES))
    main = bill["metadata"]["component"]
    assert (main["name"], main["version"], main["type"]) == ("mine", "v3", "machine-learning-model")
    card = main["modelCard"]
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [{
        "type": "bits per byte", "value": "1.5", "slice": "test side",
        "confidenceInterval": {"lowerBound": "1.4", "upperBound": "1.6"},
    }]  # fmt: skip
    components = {component["bom-ref"]: component for component in bill["components"]}
    sources = [components[each["ref"]] for each in card["modelParameters"]["datasets"]]
    assert {source["name"] for source in sources} == {"letters", "bible"}
    licences = {source["name"]: source["licenses"][0]["license"] for source in sources}
    assert licences == {"letters": {"id": "CC0-1.0"}, "bible": {"name": "Public domain"}}
    files = {
        file["name"]: file["hashes"][0]["content"] for source in sources for file in source["components"]
    }
    assert files == {path: sha for node in ordered(root) for path, sha in node.files.items()}
    assert components["pkg:pypi/torch@2.13.0"]["type"] == "library"
    depends = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    assert {ref.partition("@")[0] for ref in depends[main["bom-ref"]]} == {
        "data/shards/mine", "data/tokenizers/mine", "pkg:pypi/torch"
    }  # fmt: skip


def test_data_alone_has_a_bill_without_a_model_card(shop, root):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    shards = root.inputs[0].node
    text = bill_of_materials(shards, "mine", shards.digest[:12], {})
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert "modelCard" not in text


@pytest.mark.parametrize(
    ("package", "export"),
    [("openlineage", events), ("cyclonedx", lambda root: bill_of_materials(root, "mine", "v3", {}))],
)
def test_a_library_that_is_not_installed_is_one_line_with_the_cure(root, monkeypatch, package, export):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SettingsError, match=r'is not installed.*: pip install "lmworks\[lineage\]"$'):
        export(root)
