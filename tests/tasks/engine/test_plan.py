"""The plan says what will be run, reused or restored, and why; and what it says comes true."""

import shutil

import pytest

from tasks.engine.plan import following
from tasks.engine.run import Options, make_plan
from tasks.versioning import init


def plan(workspace, toy, options=Options(), name="demo", **settings):
    lines = make_plan(workspace, toy.toy, toy.experiment(name, **settings), options)[1]
    return {line.label.partition(" ")[0]: line for line in lines}


def actions(lines):
    return [line.action for line in lines.values()]


def test_at_first_everything_is_run_and_nothing_is_written_but_notes(workspace, toy):
    lines = plan(workspace, toy)
    assert actions(lines) == ["run"] * 4
    assert {line.why for line in lines.values()} == {"first time"}
    assert not workspace.path("models").exists()
    assert not list(workspace.private.glob("scratch/*"))


def test_a_changed_setting_is_named_and_what_follows_depends(workspace, toy):
    toy.run_toy(workspace)
    lines = plan(workspace, toy, text={"is_upper": True})
    assert actions(lines) == ["run", "depends", "depends", "depends"]
    assert lines["write_text"].why == "settings.is_upper False -> True"
    assert lines["split_text"].why == "runs only if the bytes of data/toy_texts/demo change"
    assert lines["split_text"].needs == ("write_text demo",)


def test_a_changed_source_is_named_by_its_digests(workspace, toy):
    toy.run_toy(workspace)
    (workspace.sources / "toy.txt").write_text("something else")
    assert plan(workspace, toy)["write_text"].why.startswith("source changed: ")


def test_two_changes_are_both_told_even_where_bytes_above_are_not_known(workspace, toy):
    toy.run_toy(workspace)
    lines = plan(workspace, toy, text={"is_upper": True}, train={"steps": 9})
    assert actions(lines) == ["run", "depends", "run", "depends"]
    assert lines["train_toy"].why == "settings.steps 3 -> 9"


def test_damage_is_named_by_file_and_a_gap_by_address(workspace, toy):
    toy.run_toy(workspace)
    (workspace.path("data/toy_texts/demo") / "text.txt").write_text("x")
    assert plan(workspace, toy)["write_text"].why == "data/toy_texts/demo/text.txt was changed"
    shutil.rmtree(workspace.path("data/toy_texts/demo"))
    assert plan(workspace, toy)["write_text"].why == "data/toy_texts/demo is missing"


def test_what_can_be_restored_leaves_all_below_to_be_reused(workspace, toy):
    init(workspace.root)
    toy.run_toy(workspace, keep_copies=True)
    shutil.rmtree(workspace.path("data/toy_texts/demo"))
    assert actions(plan(workspace, toy)) == ["restore", "reuse", "reuse", "reuse"]


def test_forced_steps_run_and_what_follows_depends_or_runs_from_there(workspace, toy):
    toy.run_toy(workspace)
    assert actions(plan(workspace, toy, Options(force=("split_text",)))) == [
        "reuse",
        "run",
        "depends",
        "depends",
    ]
    assert actions(plan(workspace, toy, Options(start="split_text"))) == ["reuse", "run", "run", "run"]
    assert actions(plan(workspace, toy, Options(until="split_text"))) == ["reuse", "reuse"]


def test_changed_code_is_named_by_its_definition(workspace, toy, tmp_path, monkeypatch):
    code = tmp_path / "code"
    (code / "tasks").mkdir(parents=True)
    (code / "tasks" / "toy.py").write_text("LIMIT = 1\ndef write_text():\n    return LIMIT\n")
    monkeypatch.setattr("tasks.engine.session.CODE_ROOT", code)
    monkeypatch.setattr(toy.write_text.function, "__module__", "tasks.toy")
    toy.run_toy(workspace)
    (code / "tasks" / "toy.py").write_text(
        "LIMIT = 1  # one\n\n\ndef write_text():\n    'Doc.'\n    return LIMIT\n"
    )
    assert actions(plan(workspace, toy)) == ["reuse"] * 4
    (code / "tasks" / "toy.py").write_text("LIMIT = 2\ndef write_text():\n    return LIMIT\n")
    lines = plan(workspace, toy)
    assert actions(lines) == ["run", "depends", "depends", "depends"]
    assert lines["write_text"].why == "code: tasks.toy.LIMIT changed"


@pytest.mark.parametrize("settings", [{}, {"text": {"is_upper": True}}, {"train": {"steps": 5}}])
def test_what_the_plan_says_comes_true(workspace, toy, settings):
    toy.run_toy(workspace)
    lines = plan(workspace, toy, **settings)
    heard, _ = toy.run_toy(workspace, settings)
    for name, action in heard.actions.items():
        if lines[name].action != "depends":
            assert action == {"run": "built", "reuse": "reused"}[lines[name].action]


def test_a_second_forecast_is_what_the_first_run_took(workspace, toy):
    assert not plan(workspace, toy)["write_text"].is_measured
    toy.run_toy(workspace)
    line = plan(workspace, toy, Options(force=("write_text",)))["write_text"]
    assert line.is_measured
    assert 0 < line.forecast.seconds < 60


def test_what_follows_a_step_is_found_through_all_that_reads_it(workspace, toy):
    lines = list(plan(workspace, toy).values())
    assert following(lines, "split_text demo") == {"split_text demo", "train_toy demo", "count_words demo"}
