"""Options of a run, and what it leaves behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from lmcore.config import SettingsError
from lmcore.lineage import read_manifest
from tasks.engine.run import Options
from tasks.engine.session import Silent

ROOT = Path(__file__).parents[3]


def test_until_ends_a_run_after_its_step(workspace, toy):
    heard, result = toy.run_toy(workspace, options=Options(until="split_text"))
    assert list(heard.actions) == ["write_text", "split_text"]
    assert result.answer is None
    assert list(toy.run_toy(workspace)[0].actions.values()) == ["reused", "reused", "built", "built"]


def test_from_makes_a_step_and_all_after_it_again(workspace, toy):
    toy.run_toy(workspace)
    heard, result = toy.run_toy(workspace, options=Options(start="train_toy"))
    assert list(heard.actions.values()) == ["reused", "reused", "rebuilt", "rebuilt"]
    assert result.answer


def test_force_takes_a_step_or_one_call_of_it(workspace, toy):
    toy.run_toy(workspace)
    for force in ("split_text", "split_text demo"):
        heard, _ = toy.run_toy(workspace, options=Options(force=(force,)))
        assert list(heard.actions.values()) == ["reused", "rebuilt", "reused", "reused"]


@pytest.mark.parametrize(
    "options", [Options(force=("slit_text",)), Options(start="slit_text"), Options(until="slit_text")]
)
def test_an_unknown_step_in_an_option_is_one_line_before_work_starts(workspace, toy, options):
    with pytest.raises(
        SettingsError, match=r"no step named 'slit_text' in this flow\. Did you mean 'split_text'"
    ):
        toy.run_toy(workspace, options=options)
    assert not workspace.path("data/toy_texts").exists()


def test_a_manifest_tells_what_a_product_was_made_from_and_at_what_cost(workspace, toy):
    toy.run_toy(workspace)
    corpus = read_manifest(workspace.path("data/toy_corpora/demo"))
    text = read_manifest(workspace.path("data/toy_texts/demo"))
    assert corpus.key_document["inputs"] == {"text": text.digest}
    assert corpus.inputs["text"]["address"] == "data/toy_texts/demo"
    assert corpus.facts == {"words": 6}
    assert corpus.provenance["experiment"] == "demo"
    assert corpus.provenance["seconds"] >= 0
    assert str(workspace.root) not in (workspace.path("data/toy_corpora/demo") / "manifest.json").read_text()


def test_a_flow_run_twice_in_one_run_asks_for_each_product_once(workspace, toy, monkeypatch):
    body = toy.toy.function
    twice = type(toy.toy)(lambda experiment: (body(experiment), body(experiment))[1])
    monkeypatch.setattr(toy, "toy", twice)
    heard, result = toy.run_toy(workspace)
    assert list(heard.actions.values()) == ["built"] * 4
    assert len(result.lines) == 4


def test_no_service_is_imported_to_run_in_this_process(workspace):
    script = (
        "import sys, runpy; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__');"
        "print(sorted({'torch', 'prefect', 'mlflow', 'dvc'} & set(sys.modules)))"
    )
    arguments = [str(Path(__file__).with_name("toy_flow.py")), str(workspace.root), "{}", "demo"]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_is_said_when_the_flow_run_has_ended_reaches_the_terminal():
    from tasks.engine.prefect_flow import Told

    lines = []

    class Heard(Silent):
        def said(self, label, text):
            lines.append(text)

    Told(Heard()).said("dvc.yaml", "dvc.yaml and dvc.lock were left as they are")
    assert lines == ["dvc.yaml and dvc.lock were left as they are"]
