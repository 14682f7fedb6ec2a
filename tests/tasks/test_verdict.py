"""The page of a verdict: the gate's own functions decide, the page says it in words and pictures."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.evaluate.gate import decide
from lmcore.evaluate.paired_scores import PairedScores, write_scores
from lmcore.evaluate.settings import GateConfig
from lmcore.lineage import FileEntry, Manifest
from tasks.report.facts import RunFacts, StepFacts
from tasks.report.page import render as render_run
from tasks.report.verdict import PAGE, render, write_verdict
from tasks.report.verdict.checks import chance, share
from tasks.report.verdict.looks import looks_of
from tasks.report.verdict.view import gather

NASTY = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;"
VOID = ("meta", "br", "rect", "path", "img")


class Page(HTMLParser):
    """Text, tags and links; fails where tags do not close as they opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def judged(
    folder: Path,
    champion: list[float] | None,
    challenger: list[float],
    *,
    look: int = 1,
    kind: Any = "nats",
    source: str = "letters",
    prompt: str = "The",
    silent: tuple[str, ...] = (),
    are_older: bool = False,
    **dials: Any,
) -> dict[str, Any]:
    """A verdict's folder, by the gate itself: each document has 100 bytes and so many bits for each byte."""
    unit, weight = (100 * math.log(2), 100.0) if kind == "nats" else (1.0, 1.0)
    digests = [f"{number:064d}" for number in range(len(challenger))]
    scores = PairedScores(
        kind, digests, [source] * len(digests), digests, np.full(len(digests), weight),
        None if champion is None else np.array(champion) * unit, np.array(challenger) * unit,
        np.full(len(digests), are_older),
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    write_scores(scores, folder)
    names = ("champion", "challenger") if champion is not None else ("challenger",)
    smoke = {"prompts": 1, "is_finite": True, "silent": list(silent)}
    model = {
        "parameters": 1000,
        "weight_bytes": 4000,
        "vocab_size": 300,
        "context_tokens": 64,
        "smoke": smoke,
    }
    told = {
        "kind": kind, "metric": "bits per byte" if kind == "nats" else "accuracy", "definition": {},
        "all": scores.summary(), "older": scores.older.summary(), "sources": {source: scores.summary()},
        "models": {name: model | {"bytes_per_token": 2.0} for name in names},
    }  # fmt: skip
    (folder / "challenge.json").write_text(json.dumps(told))
    texts = [{"model": name, "text": f"{name} wrote {prompt}"} for name in names]
    line = {"prompt": prompt, "temperature": 0.0, "seed": 0, "continuations": texts}
    (folder / "samples.jsonl").write_text(json.dumps(line) + "\n")
    settings = GateConfig.model_validate({"max_older_loss": None, "max_slowdown": None, **dials})
    decision = decide(folder, settings, look)
    verdict = {
        "model": "letters", "challenger": {"digest": "b" * 64, "chosen": "base"}, "looks": settings.looks,
        "champion": {"digest": "a" * 64, "version": 3} if champion is not None else None,
        **decision.document(),
    }  # fmt: skip
    (folder / "verdict.json").write_text(json.dumps(verdict))
    return settings.model_dump(mode="json")


def page_of(folder: Path, settings: dict[str, Any], version: int | None = 4) -> Page:
    registration = folder.parent
    when = "2026-11-21T12:00:00+00:00"
    found = gather(folder, settings=settings, registration=registration, version=version, when=when)
    return Page(render(found))


def clear_lead(number: int = 40) -> tuple[list[float], list[float]]:
    """2 bits a byte against 1: half as many, on every document."""
    return [2.0] * number, [1.0 + 0.001 * at for at in range(number)]


def test_a_promotion_says_who_takes_whose_place_and_by_how_much(tmp_path: Path):
    champion, challenger = clear_lead()
    page = page_of(tmp_path / "v", judged(tmp_path / "v", champion, challenger))
    assert "letters v4 takes the place of letters v3" in page.text
    assert "49 % fewer bits per byte on 40 documents." in page.text  # mean 1.0195 of 2
    assert "It passed every check." in page.text
    assert "better on 40 documents, worse on 0" in page.text
    assert "Look 1 of 52 at this test set" in page.text
    assert "lm rollback letters" in page.text


def test_the_page_of_a_run_says_what_was_asked_and_where_the_verdict_lies(tmp_path: Path):
    champion, challenger = clear_lead()
    folder = tmp_path / "reports" / "judge_challenger-abc"
    judged(folder, champion, challenger)
    verdict = json.loads((folder / "verdict.json").read_text())
    files = dict.fromkeys(("verdict.json", "challenge.json"), FileEntry(size=1, sha256="0" * 64))
    manifest = Manifest(
        step="judge_challenger", name="letters", key="a" * 64, key_document={}, digest="b" * 64, inputs={},
        environment={}, files=files, facts={"verdict": "better", "sentence": verdict["sentence"]},
    )  # fmt: skip
    step = StepFacts("judge_challenger letters", "built", manifest=manifest, folder=folder)
    run = RunFacts("release", "letters", "run", datetime(2026, 11, 21, tzinfo=UTC), 1.0, (step,))

    def page() -> str:
        return Page(render_run(run)).text

    assert "49 % fewer bits per byte on 40 documents." in page()
    assert f"letters: {verdict['sentence']}" in page()
    assert "The whole verdict" not in page()  # nobody wrote it
    (folder / "log").mkdir()
    (folder / PAGE).touch()
    assert "reports/judge_challenger-abc/log/verdict.html" in page()


def test_a_verdict_that_cannot_tell_names_the_documents_that_would(tmp_path: Path):
    random = np.random.RandomState(0)
    champion = [2.0] * 40
    challenger = (2.0 - 0.02 + 0.05 * random.standard_normal(40)).tolist()
    settings = judged(tmp_path / "v", champion, challenger)
    verdict = json.loads((tmp_path / "v" / "verdict.json").read_text())
    assert verdict["word"] == "cannot tell"
    page = page_of(tmp_path / "v", settings)
    assert "letters v3 stays: it cannot be told whether letters v4 is better" in page.text
    assert "What would tell" in page.text
    assert f"Hold out about {verdict['documents_needed']:,} more documents" in page.text


def test_a_challenger_that_is_worse_does_not_pass_and_the_worst_documents_come_first(tmp_path: Path):
    champion, challenger = clear_lead()
    page = page_of(tmp_path / "v", judged(tmp_path / "v", challenger, champion))
    assert "letters v3 stays: letters v4 did not pass" in page.text
    assert "It failed on new text." in page.text
    assert "better on 0 documents, worse on 40" in page.text
    worst = re.findall(r"document (\d{12}) 1\.\d+ 2\.000 \+([\d.]+)", page.text)
    assert [float(difference) for _, difference in worst] == [1.0, 0.999, 0.998, 0.997, 0.996]


def test_the_first_version_has_nobody_beside_it_and_spends_no_look(tmp_path: Path):
    page = page_of(tmp_path / "v", judged(tmp_path / "v", None, [1.0] * 3), version=1)
    assert "letters v1 serves: it is the first" in page.text
    assert "Look" not in page.text
    assert "champion wrote" not in page.text
    assert "lm rollback" not in page.text  # there is nothing before it


def test_a_model_that_says_nothing_is_said_to_say_nothing(tmp_path: Path):
    champion, challenger = clear_lead()
    page = page_of(tmp_path / "v", judged(tmp_path / "v", champion, challenger, silent=("The",)))
    assert "came behind “The”" in page.text
    assert "It failed on writing at all." in page.text


def test_of_marks_more_is_better(tmp_path: Path):
    page = page_of(tmp_path / "v", judged(tmp_path / "v", [0.2] * 40, [0.4] * 39 + [0.5], kind="marks"))
    assert "letters v4 takes the place of letters v3" in page.text
    assert "better on 40 documents, worse on 0" in page.text
    assert "accuracy, more is better" in page.text


@pytest.mark.parametrize(
    ("mark", "words"), [(0.0, "Equal on 40 documents"), (0.5, "0.500 better on 40 documents")]
)
def test_a_champion_that_scores_nothing_has_a_page_too(tmp_path: Path, mark: float, words: str):
    settings = judged(
        tmp_path / "v", [0.0] * 40, [mark] * 40, kind="marks", are_older=True, max_older_loss=0.01, looks=4
    )
    assert words in page_of(tmp_path / "v", settings).text


def test_the_figures_of_the_clock_are_on_the_page_and_not_in_the_verdict(tmp_path: Path):
    champion, challenger = clear_lead()
    (tmp_path / "v" / "log").mkdir(parents=True)
    told = {"device": "cpu", "tokens": 32, "rounds": [[1.0, 1.1]] * 25}
    (tmp_path / "v" / "log" / "speed.json").write_text(json.dumps(told))
    settings = judged(tmp_path / "v", champion, challenger, max_slowdown=0.25)
    speed = next(
        each
        for each in json.loads((tmp_path / "v" / "verdict.json").read_text())["checks"]
        if each["name"] == "speed"
    )
    assert (speed["word"], speed["numbers"]) == ("passed", {"limit": 0.25})
    assert (
        "10 % more time for a byte (between +10 and +10 %, over 25 rounds"
        in page_of(tmp_path / "v", settings).text
    )


def test_a_spent_test_set_says_so(tmp_path: Path):
    champion, challenger = clear_lead()
    page = page_of(tmp_path / "v", judged(tmp_path / "v", champion, challenger, look=53))
    assert "None is left" in page.text
    assert "with more than half new documents it begins anew" in page.text.lower()


def test_nothing_from_outside_becomes_markup_and_nothing_is_asked_of_the_network(tmp_path: Path):
    champion, challenger = clear_lead()
    page = page_of(tmp_path / "v", judged(tmp_path / "v", champion, challenger, source=NASTY, prompt=NASTY))
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    assert page.addresses == []
    assert "alert(1)" in page.text  # as text


def test_the_page_lies_where_the_digest_does_not_reach(tmp_path: Path):
    champion, challenger = clear_lead()
    settings = judged(tmp_path / "v", champion, challenger)
    page = write_verdict(
        tmp_path / "v", settings=settings, registration=tmp_path, version=4, when="2026-11-21T12:00:00+00:00"
    )
    assert page == tmp_path / "v" / PAGE
    assert page.parent.name == "log"


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (0.5, "about 50 times in 100"),
        (0.1, "about 10 times in 100"),
        (0.05, "about once in 20 times"),
        (0.05 / 52, "about once in 1,000 times"),
        (1 / 100_001, "about once in 100,000 times"),
    ],
)
def test_probabilities_as_people_count(probability: float, words: str):
    assert chance(probability) == words


@given(st.floats(1e-9, 1))
def test_every_probability_has_words(probability: float):
    assert re.fullmatch(r"about (once in [\d,]+|\d+) times( in 100)?", chance(probability))


@pytest.mark.parametrize(
    ("value", "words"), [(0.38, "38 %"), (-0.034, "3.4 %"), (0.0012, "0.12 %"), (0.0, "0 %"), (None, "–")]
)
def test_shares_have_two_digits_that_count(value: float | None, words: str):
    assert share(value) == words


def test_a_look_spends_its_part_of_the_promise():
    looks = looks_of({"champion": {}, "look_number": 13, "looks": 52}, {"error_rate": 0.05})
    assert looks is not None
    assert (looks.spent, looks.promised) == ("1.25%", "5%")
    assert "39 looks left" in looks.sentence
