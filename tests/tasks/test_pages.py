"""A page among a run's artifacts; the registration puts the page of a model's origin there."""

from __future__ import annotations

from pathlib import Path

from tasks.lineage.graph import Node
from tasks.register import _describe
from tasks.tracking import FlowRun, open_store
from tasks.tracking.pages import show_page

ENTRY = {
    "chosen": "base",
    "why": "base is ahead",
    "scores": {"test/bits_per_byte": 1.5, "test/bits_per_byte_low": 1.4, "test/choice": 1.5},
}


def test_a_page_is_an_artifact_of_its_run_and_a_later_one_takes_its_place(workspace: Path):
    run = FlowRun(workspace, flow="pretrain", experiment="tiny", lm_run_id="one").start()
    assert run.run_id
    first = show_page(workspace, run.run_id, "lineage", "my/model", "<p>first")
    link = show_page(workspace, run.run_id, "lineage", "my/model", "<p>second")
    experiment = open_store(workspace).get_run(run.run_id).info.experiment_id
    assert link == first == f"#/experiments/{experiment}/runs/{run.run_id}/artifacts/lineage/my-model.html"
    pages = list((workspace / "mlartifacts").rglob("my-model.html"))
    assert [page.read_text() for page in pages] == ["<p>second"]


def test_without_a_run_there_is_no_link(workspace: Path):
    assert show_page(workspace, None, "lineage", "tiny", "<p>") is None
    assert show_page(workspace, "f" * 32, "lineage", "tiny", "<p>") is None


def lineage_of(*licences: str) -> Node:
    sources = [
        Node(
            f"data/sources/s_{number}", f"s_{number}", "d", is_source=True, files={"a": "1"}, licence=licence
        )
        for number, licence in enumerate(licences)
    ]
    return Node("models/x", "x", "d", inputs=tuple(("files", source) for source in sources))


def test_a_description_begins_with_the_link_and_names_sources_and_licences():
    text = _describe(ENTRY, lineage_of("MIT", "my own"), "#/experiments/1/runs/2/artifacts/lineage/x.html")
    lines = text.split("\n\n")
    link = "[Where this model comes from](#/experiments/1/runs/2/artifacts/lineage/x.html)"
    assert lines[0] == f"**{link}**: every file, setting and step behind it, on one page."
    assert lines[1] == r"Made from 2 files of 2 sources: s\_0 (MIT), s\_1 (my own)."
    assert text.endswith("|---|---|\n| bits per byte | 1.5 |\n")


def test_a_description_without_a_link_says_where_the_page_is_and_of_many_sources_names_ten():
    text = _describe(ENTRY, lineage_of(*["MIT"] * 13), None)
    assert text.startswith("**`lineage.html` among the model's artifacts**: every file")
    assert r"s\_9 (MIT), and 3 more." in text


def test_a_licence_cannot_forge_a_link():
    text = _describe(ENTRY, lineage_of("[x](http://elsewhere)<b>"), None)
    assert r"\[x\]\(http://elsewhere\)\<b\>" in text
