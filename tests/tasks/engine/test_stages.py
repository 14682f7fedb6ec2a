"""dvc.yaml and dvc.lock follow what a run makes; DVC itself says whether they are right."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lmcore.lineage import read_manifest
from tasks.engine import stages
from tasks.engine.run import Options
from tasks.engine.stages import declare
from tasks.versioning import init, pipeline

ROOT = Path(__file__).parents[3]
PERSIST = {"persist": True}
WRITE_TEXT = {
    "cmd": "lm toy demo --until write_text",
    "deps": ["data/sources/toy.txt", "experiments/toy/demo.yaml"],
    "outs": [{"data/toy_texts/demo": PERSIST}],
}
SPLIT_TEXT = {
    "cmd": "lm toy demo --until split_text",
    "deps": ["data/toy_texts/demo", "experiments/toy/demo.yaml"],
    "outs": [{"data/toy_corpora/demo": PERSIST}],
}
BOTH = {"write_text-demo": WRITE_TEXT, "split_text-demo": SPLIT_TEXT}
LM = """\
#!{python}
import sys
from pathlib import Path

import yaml

sys.path[:0] = ["{root}", "{here}"]
import toy_flow

_, flow, name, _, until = sys.argv
settings = yaml.safe_load(Path(f"experiments/{{flow}}/{{name}}.yaml").read_text()) or {{}}
options = toy_flow.Options(until=until)
toy_flow.run_toy(toy_flow.Workspace(Path.cwd()), settings, options, name=name, keep_copies=True)
"""


@pytest.fixture
def workspace(workspace):
    init(workspace.root)
    describe(workspace, "demo", "{}")
    return workspace


def describe(workspace, name: str, text: str) -> None:
    file = workspace.experiments / "toy" / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


def run(workspace, toy, settings=None, **options):
    return toy.run_toy(workspace, settings, Options(), keep_copies=True, **options)


def written(workspace) -> dict:
    return yaml.safe_load((workspace.root / "dvc.yaml").read_text())["stages"]


def locked(workspace) -> dict:
    return yaml.safe_load((workspace.root / "dvc.lock").read_text())["stages"]


@pytest.fixture
def dvc(tmp_path):
    """DVC's command, to which `lm` is the toy flow's."""
    (tmp_path / "bin").mkdir()
    lm = tmp_path / "bin" / "lm"
    lm.write_text(LM.format(python=sys.executable, root=ROOT, here=Path(__file__).parent))
    lm.chmod(0o755)
    path = f"{lm.parent}{os.pathsep}{os.environ['PATH']}"

    def dvc(workspace, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=workspace.root, env=os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "1"},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return dvc


def test_a_flow_has_a_stage_for_each_data_product_before_anything_is_made(workspace, toy):
    found = declare(workspace, toy.toy, toy.experiment())
    assert {name: stage.entry() for name, stage in found.stages.items()} == BOTH
    assert not (workspace.root / "dvc.yaml").exists()


def test_after_a_run_dvc_finds_nothing_to_do(workspace, toy, dvc):
    run(workspace, toy)
    assert written(workspace) == BOTH
    assert "up to date" in dvc(workspace, "status")
    assert "running" not in dvc(workspace, "repro").lower()
    assert list(written(workspace)) == list(locked(workspace)) == list(BOTH)
    (workspace.sources / "toy.txt").write_text("other words")
    assert "toy.txt" in dvc(workspace, "status")
    run(workspace, toy)
    assert "up to date" in dvc(workspace, "status")


def test_the_stages_of_an_experiment_that_was_deleted_go_and_its_data_stays(workspace, toy, dvc):
    run(workspace, toy)
    describe(workspace, "other", "{text: {is_upper: true}}")
    run(workspace, toy, {"text": {"is_upper": True}}, name="other")
    assert {name.partition("-")[2] for name in written(workspace)} == {"demo", "other"}
    (workspace.experiments / "toy" / "other.yaml").unlink()
    run(workspace, toy)
    assert written(workspace) == BOTH
    assert list(locked(workspace)) == list(BOTH)
    assert workspace.path("data/toy_texts/other").is_dir()
    assert "running" not in dvc(workspace, "repro").lower()


def test_dvc_makes_from_nothing_what_a_run_makes_and_the_run_finds_it_made(workspace, toy, dvc, tmp_path):
    other = toy.Workspace(tmp_path / "other")
    shutil.copytree(workspace.root, other.root)
    run(workspace, toy)
    for file in (".dvcignore", "dvc.yaml"):
        shutil.copy(workspace.root / file, other.root)
    dvc(other, "repro")
    assert (other.root / "dvc.lock").read_text() == (workspace.root / "dvc.lock").read_text()
    assert "up to date" in dvc(other, "status")
    heard, _ = run(other, toy)
    assert list(heard.actions.values()) == ["reused", "reused", "built", "built"]
    assert (other.root / "dvc.lock").read_text() == (workspace.root / "dvc.lock").read_text()


def test_what_dvc_pushes_and_pulls_is_found_made(workspace, toy, dvc, tmp_path):
    run(workspace, toy)
    dvc(workspace, "remote", "add", "--default", "store", str(tmp_path / "remote"))
    dvc(workspace, "push")
    other = toy.Workspace(tmp_path / "other")
    kept = shutil.ignore_patterns("toy_texts", "toy_corpora", "models", "reports", ".lm", "cache", "tmp")
    shutil.copytree(workspace.root, other.root, ignore=kept)
    dvc(other, "pull")
    heard, _ = run(other, toy)
    assert list(heard.actions.values()) == ["reused", "reused", "built", "built"]
    assert (other.root / "dvc.lock").read_text() == (workspace.root / "dvc.lock").read_text()


def test_an_older_commit_brings_its_data_back_and_nothing_is_made_again(workspace, toy, dvc):
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *who, *arguments], cwd=workspace.root, check=True, capture_output=True)

    def keep(is_upper: bool) -> dict[str, str]:
        describe(workspace, "demo", f"text: {{is_upper: {str(is_upper).lower()}}}")
        run(workspace, toy, {"text": {"is_upper": is_upper}})
        git("add", "--all")
        git("commit", "--message", "x")
        return locked(workspace)

    git("init", "--initial-branch=main")
    (workspace.root / ".gitignore").write_text("/.lm/\n/models/\n/reports/\n/data/*\n!/data/sources/\n")
    first = keep(False)
    assert keep(True) != first
    git("checkout", "HEAD~")
    assert "toy_texts" in dvc(workspace, "status")
    dvc(workspace, "checkout")
    assert (workspace.path("data/toy_texts/demo") / "text.txt").read_text().islower()
    heard, result = run(workspace, toy)
    assert [line.action for line in result.lines] == ["reuse"] * 4
    assert set(heard.actions.values()) == {"reused"}
    assert read_manifest(workspace.path("data/toy_texts/demo")).provenance == {}
    assert result.session.store.read(workspace.path("data/toy_texts/demo")).provenance["seconds"] >= 0
    status = subprocess.run(["git", "status", "--porcelain"], cwd=workspace.root, capture_output=True)
    assert status.stdout == b""  # neither dvc.lock nor a .gitignore of DVC's own
    assert "up to date" in dvc(workspace, "status")


def test_a_run_that_makes_nothing_leaves_both_files_alone_and_asks_dvc_for_nothing(
    workspace, toy, monkeypatch
):
    run(workspace, toy)
    before = (workspace.root / "dvc.lock").stat().st_mtime_ns
    monkeypatch.setattr(stages, "update_pipeline", lambda *_: pytest.fail("DVC was asked"))
    run(workspace, toy)
    assert (workspace.root / "dvc.lock").stat().st_mtime_ns == before


def test_a_lost_or_reset_lock_is_written_again(workspace, toy):
    run(workspace, toy)
    before = (workspace.root / "dvc.lock").read_text()
    (workspace.root / "dvc.lock").unlink()
    run(workspace, toy)
    assert (workspace.root / "dvc.lock").read_text() == before


def test_what_users_write_stays_with_its_comments_and_order(workspace, toy, dvc):
    own = "# mine\nstages:\n  mine:  # my stage\n    cmd: echo 1 > a.txt\n    outs: [a.txt]\nplots: []\n"
    (workspace.root / "dvc.yaml").write_text(own)
    run(workspace, toy)
    text = (workspace.root / "dvc.yaml").read_text()
    assert text.startswith("# mine\nstages:\n  mine:  # my stage\n    cmd: echo 1 > a.txt\n")
    assert written(workspace).keys() == {"mine", *BOTH}
    described = text.replace("  write_text-demo:", "  # the text\n  write_text-demo:\n    desc: what I say")
    (workspace.root / "dvc.yaml").write_text(described)
    run(workspace, toy)
    assert (workspace.root / "dvc.yaml").read_text() == described
    assert "mine" in dvc(workspace, "status")
    assert "demo" not in dvc(workspace, "status")


def test_a_users_own_stage_for_a_product_is_left_in_charge_of_it(workspace, toy):
    own = {"cmd": "lm build_assistant x", "outs": ["data/toy_texts/demo"]}
    (workspace.root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"mine": own}}))
    heard, _ = run(workspace, toy)
    assert written(workspace) == {"mine": own, "split_text-demo": SPLIT_TEXT}
    assert not heard.lines


def test_a_stage_of_a_product_that_is_no_longer_made_goes_and_others_stay(workspace, toy):
    describe(workspace, "other", "{}")
    run(workspace, toy)
    run(workspace, toy, name="other")
    file = workspace.root / "dvc.yaml"
    old = WRITE_TEXT | {"outs": [{"data/toy_texts/old": PERSIST}]}
    document = {"stages": {"write_text-old": old, **yaml.safe_load(file.read_text())["stages"]}}
    file.write_text(yaml.safe_dump(document))
    (workspace.root / "dvc.lock").write_text(
        yaml.safe_dump({"schema": "2.0", "stages": {"write_text-old": {"cmd": "x"}, **locked(workspace)}})
    )
    run(workspace, toy)
    assert written(workspace).keys() == {*BOTH, "write_text-other", "split_text-other"}
    assert "write_text-old" not in locked(workspace)


def test_a_run_that_fails_records_what_it_has_finished_and_forgets_no_stage(workspace, toy, monkeypatch):
    @functools.wraps(toy.split_text.function)
    def split_text(*_, **__):
        raise OSError("no")

    run(workspace, toy)
    shutil.rmtree(workspace.root / ".dvc" / "cache")
    shutil.rmtree(workspace.path("data"))
    workspace.sources.mkdir(parents=True)
    (workspace.sources / "toy.txt").write_text("other words")
    before = locked(workspace)
    monkeypatch.setattr(toy, "split_text", toy.replace(toy.split_text, function=split_text))
    with pytest.raises(OSError, match="no"):
        run(workspace, toy)
    assert written(workspace) == BOTH
    now = locked(workspace)
    assert now["split_text-demo"] == before["split_text-demo"]
    assert now["write_text-demo"] != before["write_text-demo"]


def test_a_variant_that_shares_data_shares_the_stages_of_whom_it_extends(workspace, toy):
    describe(workspace, "wide", "extends: demo")
    variant = {"names": {"ToyExperiment": "demo"}}
    found = declare(workspace, toy.toy, toy.experiment("wide", **variant))
    assert {stage.experiment for stage in found.stages.values()} == {"demo"}


def test_overrides_of_the_data_leave_no_stage(workspace, toy):
    run(workspace, toy, {"text": {"is_upper": True}}, name="demo-1a2b3c")
    assert not (workspace.root / "dvc.yaml").exists()


def test_an_experiments_stage_keeps_a_product_until_another_makes_other_bytes_of_it(workspace, toy, dvc):
    """Two experiments, one address: such as a source that both of them read whole."""

    def run_as(name: str, **settings) -> None:
        experiment = toy.experiment("demo", **settings, names={"ToyExperiment": name})
        session = toy.replace(toy.make_plan(workspace, toy.toy, experiment)[0], may_build=True)
        toy.run_flow(workspace, toy.toy, experiment, Options(use_prefect=False), planned=(session, []))

    describe(workspace, "second", "{}")
    run_as("demo")
    run_as("second")
    assert written(workspace) == BOTH
    run_as("second", text={"is_upper": True})
    assert {entry["cmd"].split()[2] for entry in written(workspace).values()} == {"second"}
    assert "up to date" in dvc(workspace, "status")
    (workspace.experiments / "toy" / "second.yaml").unlink()
    run_as("demo", text={"is_upper": True})
    assert written(workspace) == BOTH


@pytest.mark.parametrize("text", ["stages: [", "stages: 3", "- a", "stages:\n  a: {cmd: 1, bad: 2}\n"])
def test_a_dvc_yaml_that_does_not_read_is_one_calm_line(workspace, toy, text):
    (workspace.root / "dvc.yaml").write_text(text)
    heard, result = run(workspace, toy)
    assert result.answer
    (line,) = heard.lines
    assert line.startswith("dvc.yaml and dvc.lock were left as they are: ")
    assert "\n" not in line
    assert (workspace.root / "dvc.yaml").read_text().startswith(text)


def test_a_busy_dvc_is_one_calm_line_and_the_next_run_makes_up_for_it(workspace, toy, monkeypatch):
    def busy(*_):
        raise OSError("Unable to acquire lock.\nMost likely another DVC process is running")

    monkeypatch.setattr(pipeline, "_commit", busy)
    monkeypatch.setattr(pipeline, "retry", lambda action: action())
    heard, _ = run(workspace, toy)
    assert "Unable to acquire lock. Most likely" in heard.lines[0]
    monkeypatch.undo()
    run(workspace, toy)
    assert list(locked(workspace)) == list(BOTH)


def test_under_dvc_repro_the_files_are_dvcs_own(workspace, toy, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "write_text-demo")
    run(workspace, toy)
    assert not (workspace.root / "dvc.yaml").exists()


def test_a_name_with_letters_that_dvc_refuses_gets_a_stage_name_of_its_own(workspace, toy):
    describe(workspace, "a.b c", "{}")
    (stage, _) = declare(workspace, toy.toy, toy.experiment("a.b c")).stages.values()
    assert stage.name.startswith("write_text-a_b_c-")
    assert stage.command == "lm toy 'a.b c' --until write_text"
    run(workspace, toy, name="a.b c")
    assert stage.name in locked(workspace)
