"""`lm add` describes a pile of files as a source, and never invents a licence."""

import json
from pathlib import Path

import pytest
import yaml


@pytest.fixture
def own(lm_in, tmp_path: Path):
    lm_in(tmp_path)("init", str(tmp_path / "workspace"), LM_WORKSPACE="")
    return lm_in(tmp_path / "workspace")


@pytest.fixture
def pile(tmp_path: Path) -> Path:
    folder = tmp_path / "My news"
    folder.mkdir()
    rows = [{"headline": f"News {n}", "story": f"word{n} " * 80} for n in range(12)]
    (folder / "news.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\nno JSON\n")
    return folder


def test_a_pile_is_shown_and_described_and_the_next_command_works(own, pile: Path):
    output = own("add", str(pile), "--licence", "my own")
    for said in ("12 documents", "News 0", "1 unreadable_record", "wrote data/sources/my_news/source.yaml"):
        assert said in output
    described = yaml.safe_load((own.workspace / "data/sources/my_news/source.yaml").read_text())
    assert described == {
        "title": "my news",
        "origin": str(pile),
        "licence": "my own",
        "path": str(pile),
        "reader": {"type": "jsonl", "text_field": "story", "title_field": "headline"},
    }
    (own.workspace / "experiments/build_assistant/my_news.yaml").write_text("sources: [my_news]\n")
    assert "ingest_source my_news" in own("plan", "prepare_corpus", "my_news")
    assert "there is a source 'my_news' already" in own("add", str(pile), "--licence", "x", code=2)


def test_a_licence_is_asked_for_and_never_invented(own, pile: Path):
    output = own("add", str(pile / "news.jsonl"), "--name", "news", code=2)
    assert "the licence is missing" in output
    assert f"lm add '{pile / 'news.jsonl'}' --name news --licence" in output
    assert not (own.workspace / "data/sources/news").exists()


def test_a_place_that_is_not_there_is_one_line(own, tmp_path: Path):
    output = own("add", str(tmp_path / "gone"), code=2)
    assert "no such file or folder" in output
    assert len(output.strip().splitlines()) == 1


def test_what_is_left_out_and_what_cannot_be_read_are_told_with_the_cure(own, pile: Path):
    (pile / "notes.md").write_text("\x1b[31mred\x1b[0m and short")
    assert "left out: 1 file of other kinds; `lm add` on it" in own("add", str(pile), "--licence", "my own")
    assert "\x1b" not in own("add", str(pile / "notes.md"), "--name", "notes", "--licence", "my own")
    (pile / ".env").write_text("TOKEN=1")
    assert "hidden files are never read" in own("add", str(pile / ".env"), "--licence", "my own", code=2)
    (pile / "chat.jsonl").write_text('{"messages": []}\n')
    assert "own_conversations" in own("add", str(pile / "chat.jsonl"), "--licence", "my own", code=2)
