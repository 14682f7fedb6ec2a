"""The page: what it says by hand-worked numbers, its HTML by the parser, its script in a real browser."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pages import chromium

from tasks.artifacts import RawDocuments
from tasks.lineage import ordered, trace
from tasks.lineage.page import About, render
from tasks.lineage.page.findings import findings
from tasks.lineage.page.view import view_of

NASTY = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;"
ABOUT = About("mine v3", is_registered=True, scores={"test/bits_per_byte": 1.5, "test/bits_per_byte_low": 1.4,
              "test/bits_per_byte_high": 1.6, "test/minus_reference": -0.1}, why="mine is ahead")  # fmt: skip


def said_of(shop, model) -> dict[str, tuple[str, str]]:
    found = findings(ordered(trace(shop.workspace.root, model)))
    return {finding.topic: (finding.word, finding.sentence) for finding in found}


def test_the_top_says_in_numbers_what_went_in_and_what_came_of_it(shop, letters):
    view = view_of(trace(shop.workspace.root, shop.model(letters)), ABOUT)
    assert view.lead == "A language model of 14,160 parameters, made in 8 steps from 5 files of 2 sources."
    tiles = {tile.label: (tile.value, tile.note) for tile in view.tiles}
    assert tiles["source files"][0] == "5"
    assert tiles["documents to learn from"] == ("3", "1,000 characters")
    assert tiles["all steps took"] == ("74 s", "24 s of processor time")
    assert tiles["bits per byte"] == ("1.5", "on the test side, 95 % 1.4 to 1.6")
    assert "minus reference" not in tiles


def test_a_sound_lineage_is_said_to_be_sound(shop, letters):
    said = said_of(shop, shop.model(letters))
    assert {word for word, _ in said.values()} == {"sound"}
    assert "one of 5 source files below" in said["Complete"][1]
    assert said["Licences"][1].startswith("Both sources state")
    assert said["Kept apart"][1].startswith("3 documents are there to learn from. 0 to choose by and 1 to")
    assert said["Commits"][1].endswith("at commit 01234567.")
    assert "torch 2.13.0 on one kind of processor (x86_64-avx2)" in said["Repeatable"][1]


@pytest.mark.parametrize("licence", ["unknown, for own use only", "Unclear", "?", "to be clarified", "TODO"])
def test_a_licence_that_nobody_knows_is_to_be_looked_at(shop, letters, licence):
    word, sentence = said_of(shop, shop.model(letters, licence=licence))["Licences"]
    assert word == "look"
    assert f"letters: “{licence}”" in sentence


@pytest.mark.parametrize("licence", ["MIT", "CC BY 4.0", "Public domain; nonetheless see LICENCE.md", "own"])
def test_a_licence_that_says_something_is_left_to_the_reader(shop, letters, licence):
    word, sentence = said_of(shop, shop.model(letters, licence=licence))["Licences"]
    assert word == "sound"
    assert "Nobody has checked that here" in sentence


def test_what_was_not_committed_and_other_machines_are_to_be_looked_at(shop, letters):
    shop.is_dirty = True
    model = shop.model(letters)
    shop.is_dirty, shop.environment = False, {"cpu": "aarch64", "torch": "2.14.0"}
    said = said_of(shop, shop.make(type(model), "finetune_model", "mine-full", {"base": model}))
    assert said["Commits"][0] == "look"
    assert said["Commits"][1].startswith(
        "When Raw documents letters, Raw documents bible, Clean documents mine"
    )
    assert "torch 2.13.0, 2.14.0 on processors of kind aarch64, x86_64-avx2" in said["Machines"][1]


def test_a_gap_is_the_first_thing_that_the_page_says(shop, letters):
    model = shop.model(letters)
    shutil.rmtree(shop.workspace.path("data/raw/letters"))
    shutil.rmtree(shop.workspace.private / "manifests")
    root = trace(shop.workspace.root, model)
    first = findings(ordered(root))[0]
    assert (first.word, first.topic) == ("look", "Incomplete")
    assert "data/raw/letters" in first.sentence
    assert "No other file" not in render(root, ABOUT)


class Page(HTMLParser):
    """What a browser would fetch, run and show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == [], "tags that are never closed"

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if attributes.get("href") else []
        self.fetched += [value for name, value in attrs if name in ("src", "srcset", "action", "data")]
        assert not any(name.startswith("on") for name in attributes), attrs
        if tag not in ("meta", "input", "link", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)
        elif self.open[-1:] != ["style"]:
            self.text += data + " "


def test_the_page_asks_nothing_of_the_network_and_runs_its_one_script(shop, letters):
    text = render(trace(shop.workspace.root, shop.model(letters)), ABOUT)
    page = Page(text)
    assert page.fetched == []
    assert "url(" not in text
    assert "@import" not in text
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert len(page.ids) == len(set(page.ids))
    policy = re.search(r"script-src 'sha256-([^']+)'", text)
    assert policy
    assert base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode() == policy[1]
    assert "default-src 'none'" in text


def test_the_page_has_each_file_setting_function_and_digest_in_full(shop, letters):
    root = trace(shop.workspace.root, shop.model(letters))
    page = Page(render(root, ABOUT))
    for node in ordered(root):
        assert node.digest in page.text
        assert all(path in page.text and sha in page.text for path, sha in node.files.items())
        if node.manifest:
            assert node.manifest.key in page.text
    for text in (
        "train.steps",
        "RMSNorm",
        "lm pretrain mine, run run1",
        "my own",
        "0123456789abcdef",
        "mine is ahead",
    ):
        assert text in page.text


def test_texts_from_outside_stay_texts(shop):
    about = About(NASTY, scores={NASTY: 1.0}, why=NASTY)
    model = shop.model({"a.txt": "dear a", "<i>.txt": "dear b"}, licence=NASTY, code={f"{NASTY}:x": "aa"})
    page = Page(render(trace(shop.workspace.root, model), about))
    assert len(page.scripts) == 1
    assert page.fetched == []
    assert NASTY in page.text
    assert "<i>.txt" in page.text


def test_of_very_many_files_the_page_lists_the_first_and_says_so(shop):
    files = {f"{number:05}.txt": "x" for number in range(5_003)}
    raw = shop.make(RawDocuments, "ingest_source", "many", {"files": shop.source("many", files)})
    page = Page(render(trace(shop.workspace.root, raw), About(raw.address)))
    assert "04999.txt" in page.text
    assert "05000.txt" not in page.text
    assert "and 3 more files, which are listed in lineage.json" in page.text
    assert "5,003 files" in page.text


@pytest.fixture
def browser(tmp_path: Path):
    """Chromium without a window."""
    with chromium(tmp_path / "chromium") as driven:
        yield driven


FRAME = """<!doctype html><script>
const text = new TextDecoder().decode(Uint8Array.from(atob("{page}"), (letter) => letter.charCodeAt(0)));
const frame = document.createElement("iframe");
frame.src = URL.createObjectURL(new Blob([text], {type: "text/html"}));
frame.sandbox = "allow-scripts"; frame.style = "width: 1100px; height: 800px";
addEventListener("load", () => document.body.append(frame));
</script><body></body>"""


def test_a_click_opens_a_product_and_a_search_finds_files_also_in_mlflows_frame(
    shop, letters, browser, tmp_path
):
    page = render(trace(shop.workspace.root, shop.model(letters)), ABOUT)
    file = tmp_path / "frame.html"
    file.write_text(FRAME.replace("{page}", base64.b64encode(page.encode()).decode()))
    browser.get(file.as_uri())
    browser.switch_to.frame(browser.find_element("tag name", "iframe"))
    box = browser.find_element("xpath", "//*[name()='a'][starts-with(., 'data/tokenizers/mine')]")
    browser.execute_script("arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", box)
    opened = browser.find_element("css selector", "details.target[open]")
    assert "A vocabulary of pieces of words" in opened.text
    search = browser.find_element("css selector", "input[type=search]")
    search.send_keys("b.txt")
    assert browser.find_element("tag name", "output").text == "1 line in 1 source and 0 products"
    shown = [each.text for each in browser.find_elements("css selector", ".files li") if each.is_displayed()]
    assert [line.rpartition("\n")[2] for line in shown] == ["b.txt"]
    search.clear()
    search.send_keys("train.steps")
    assert browser.find_element("tag name", "output").text == "1 line in 0 sources and 1 product"
    search.clear()
    search.send_keys("nowhere at all")
    assert browser.find_element("tag name", "output").text == "nothing found"
    search.send_keys("\b" * 20)
    assert browser.find_element("tag name", "output").text == "2 sources, 5 files, 8 products"
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
