"""Changed code that makes the same bytes is accepted after a replay, and nothing is made again."""

import shutil
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from lmcore.config import SettingsError
from tasks.engine.acceptance import NotEqual, accept_code
from tasks.engine.accepted import Accepted, Entry, read_accepted, write_accepted
from tasks.engine.run import Options, make_plan, run_flow
from tasks.engine.session import Silent
from tasks.executed import read_executed

ROOT = Path(__file__).parents[3]

CODE = '''
import json
from typing import ClassVar

from tasks.engine.artifact import Artifact
from tasks.engine.experiment import Experiment
from tasks.engine.flow import flow
from tasks.engine.step import step
from tasks.replay import replay_training


class Numbers(Artifact):
    home: ClassVar[str] = "data/numbers"


class Fitted(Artifact):
    home: ClassVar[str] = "models"


class Scores(Artifact):
    home: ClassVar[str] = "reports"


def double(number):
    return number * 2


def loss(number, step):
    return number / 3 + step


def count(numbers):
    return len(numbers)


@step(makes=Numbers, carries="ledger.txt")
def make_numbers(build, most, *, name):
    known = build.carried.read_text() if build.carried else ""
    (build.folder / "ledger.txt").write_text(known + f"{most}\\n")
    (build.folder / "numbers.json").write_text(json.dumps({"numbers": [double(n) for n in range(most)]}))
    return {"most": most}


@step(makes=Fitted, replay=replay_training)
def fit(build, numbers, steps, *, name):
    last = json.loads((build.path(numbers) / "numbers.json").read_text())["numbers"][-1]
    with (build.folder / "metrics.jsonl").open("w") as file:
        for number in range(1, (build.stop_after or steps) + 1):
            file.write(json.dumps({"step": number, "loss": loss(last, number)}) + "\\n")
    return {}


@step(makes=Scores)
def score(build, model, *, name):
    lines = (build.path(model) / "metrics.jsonl").read_text().splitlines()
    (build.folder / "scores.json").write_text(json.dumps({"lines": count(lines)}))
    return {}


class Trial(Experiment):
    most: int = 5
    steps: int = 30


@flow
def trial(experiment):
    """numbers -> fitted -> scores"""
    numbers = make_numbers(experiment.most, name=experiment.name)
    return score(fit(numbers, experiment.steps, name=experiment.name), name=experiment.name)
'''


class Heard(Silent):
    def __init__(self):
        self.lines = []
        self.actions = []

    def said(self, label, text):
        self.lines.append(text)

    def finished(self, label, outcome):
        self.actions.append(outcome.action)


class Lab:
    """A flow whose code a test rewrites."""

    def __init__(self, workspace, root):
        self.workspace = workspace
        self.file = root / "tasks" / "made_up.py"
        self.file.parent.mkdir(parents=True)
        self.code = CODE
        self.write()

    def write(self):
        self.file.write_text(self.code)
        self.module = sys.modules["tasks.made_up"] = types.ModuleType("tasks.made_up")
        exec(compile(self.code, str(self.file), "exec"), self.module.__dict__)

    def change(self, *changes):
        for before, after in changes:
            assert before in self.code
            self.code = self.code.replace(before, after)
        self.write()

    def experiment(self, name="demo", **settings):
        return self.module.Trial(name=name, **settings)

    def plan(self, name="demo", **settings):
        return make_plan(self.workspace, self.module.trial, self.experiment(name, **settings))[1]

    def actions(self, name="demo", **settings):
        return [line.action for line in self.plan(name, **settings)]

    def run(self, name="demo", **settings):
        made, heard = self.experiment(name, **settings), Heard()
        session, lines = make_plan(self.workspace, self.module.trial, made)
        planned = replace(session, keep_copies=False), lines
        run_flow(self.workspace, self.module.trial, made, Options(use_prefect=False), heard, planned)
        return heard.actions

    def accept(self, name="demo", trust=False, options=Options(), **settings):
        made, heard = self.experiment(name, **settings), Heard()
        session, _ = make_plan(self.workspace, self.module.trial, made, options)
        session.listener = heard
        verdicts = accept_code(session, self.module.trial, made, is_trusting=trust)
        return [verdict.step for verdict in verdicts], heard.lines


@pytest.fixture
def lab(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.engine.session.CODE_ROOT", tmp_path / "code")
    monkeypatch.setitem(sys.modules, "tasks.made_up", None)
    return Lab(workspace, tmp_path / "code")


def stamps(workspace):
    files = [file for home in ("data", "models", "reports") for file in workspace.root.glob(f"{home}/**/*")]
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files if file.is_file()}


ANEW = ("return number * 2", "return number + number")
OTHER_LOSS = ("number / 3 + step", "number / 3 + step + (step > 4) * 1e-15")
ALL_REUSED = ["reuse"] * 3


def test_equal_bytes_are_accepted_and_nothing_moves(lab):
    assert lab.run() == ["built"] * 3
    before = stamps(lab.workspace)
    lab.change(ANEW, ("number / 3 + step", "step + number / 3"), ("len(numbers)", "sum(1 for _ in numbers)"))
    assert lab.actions() == ["run"] * 3
    steps, lines = lab.accept()
    assert steps == ["make_numbers", "fit", "score"]
    assert lines[1] == ("fit demo: replayed 20 steps, equal bit for bit; accepted (tasks.made_up.loss)")
    whys = [line.why for line in lab.plan()]
    assert lab.actions() == ALL_REUSED
    assert "accepted code (replayed in full)" in whys[0]
    assert "accepted code (replayed 20 steps)" in whys[1]
    assert lab.run() == ["reused"] * 3
    assert stamps(lab.workspace) == before
    assert not list(lab.workspace.private.glob("scratch/*"))


def test_a_difference_is_told_by_number_and_step_and_nothing_is_accepted(lab):
    lab.run()
    lab.change(ANEW, OTHER_LOSS)
    with pytest.raises(NotEqual, match=r"fit demo.*loss 7\.666666666666666 -> 7\.666666666666667 at step 5 "):
        lab.accept()
    assert not (lab.workspace.root / "accepted.yaml").exists()
    assert lab.actions() == ["run", "run", "depends"]


def test_a_difference_in_a_file_that_is_made_in_full_is_told_by_its_number(lab):
    lab.run()
    lab.change(("return number * 2", "return number * 2 + (number == 3)"))
    with pytest.raises(NotEqual, match=r"make_numbers demo.*numbers\.json: numbers\[3\] 6 -> 7 "):
        lab.accept()


def test_code_that_fails_is_not_accepted(lab):
    lab.run()
    lab.change(("len(numbers)", "len(numbers) // 0"))
    with pytest.raises(NotEqual, match=r"it fails: .*by zero"):
        lab.accept()


def test_a_training_shorter_than_a_replay_is_made_again_in_full(lab):
    lab.run(steps=6)
    lab.change(("number / 3 + step", "number / 3 + step + (step > 5)"))
    with pytest.raises(NotEqual, match=r"at step 6 \(replayed in full"):
        lab.accept(steps=6)


def test_a_difference_after_the_replayed_steps_is_not_seen(lab):
    """What a replay proves has an end; the plan says how far it went."""
    lab.run()
    lab.change(("number / 3 + step", "number / 3 + step + (step > 20)"))
    assert lab.accept()[0] == ["fit"]


def test_what_a_replay_does_not_run_is_made_again(lab):
    lab.run()
    lab.change(
        ("number / 3 + step", "step + number / 3"),
        ("from tasks.engine.step import step", "from tasks.engine.step import Replayed, step"),
        ("replay=replay_training", 'replay=lambda *_, **__: Replayed("replayed 2 steps", None, str.isascii)'),
    )
    steps, lines = lab.accept()
    assert steps == []
    assert lines == [
        "fit demo: replayed 2 steps and found no difference, but they do not run what changed in "
        "tasks.made_up.loss; it will be made again, unless you say --trust"
    ]
    assert lab.accept(trust=True)[0] == ["fit"]


def test_trust_accepts_without_a_replay_and_says_so(lab):
    lab.run()
    lab.change(OTHER_LOSS)
    assert lab.accept(trust=True)[0] == ["fit"]
    assert lab.plan()[1].why.endswith("accepted code (trusted)")


def test_steps_whose_settings_or_inputs_changed_too_are_not_touched(lab):
    lab.run()
    lab.change(ANEW, ("len(numbers)", "len(list(numbers))"))
    assert lab.accept(most=6) == ([], [])
    assert lab.accept(steps=31)[0] == ["make_numbers"]
    assert lab.actions(steps=31) == ["reuse", "run", "run"]
    assert lab.actions() == ["reuse", "reuse", "run"]


def test_what_is_forced_or_behind_the_end_is_not_judged(lab):
    lab.run()
    lab.change(ANEW, OTHER_LOSS)
    assert lab.accept(options=Options(until="make_numbers"))[0] == ["make_numbers"]
    assert lab.accept(options=Options(force=("fit",))) == ([], [])


def test_every_call_of_a_step_has_to_come_out_equal(lab):
    """The second call's product would be covered by what the first one proves."""
    lab.change(
        ("return score(fit(numbers", 'again = make_numbers(9, name="more")\n    return score(fit(numbers'),
    )
    assert lab.run() == ["built"] * 4
    lab.change(("return number * 2", "return number * 2 + (number > 6)"))
    with pytest.raises(NotEqual, match=r"make_numbers more.*numbers\[7\] 14 -> 15 "):
        lab.accept()
    assert not (lab.workspace.root / "accepted.yaml").exists()


def test_a_replay_starts_from_the_ledger_that_the_product_started_from(lab):
    lab.run()
    lab.run(most=6)
    lab.change(ANEW)
    steps, _ = lab.accept(most=6)
    assert steps[0] == "make_numbers"
    assert lab.actions(most=6) == ALL_REUSED
    assert (lab.workspace.path("data/numbers/demo") / "ledger.txt").read_text() == "5\n6\n"


def test_code_accepted_twice_stands_for_the_first(lab):
    lab.run()
    lab.change(ANEW)
    lab.accept()
    lab.change(("return number + number", "return 2 * number"))
    assert lab.accept()[0] == ["make_numbers"]
    assert lab.actions() == ALL_REUSED
    (codes,) = read_accepted(lab.workspace.root).entries.values()
    assert len(codes) == 2
    assert len({entry.same_as for entry in codes.values()}) == 1


def test_accepted_code_makes_a_lost_product_under_the_same_key(lab, products):
    lab.run()
    before = products(lab.workspace)
    lab.change(ANEW)
    lab.accept()
    shutil.rmtree(lab.workspace.path("data/numbers/demo"))
    assert lab.run() == ["built", "reused", "reused"]
    assert products(lab.workspace) == before


def test_a_removed_entry_makes_the_step_run_again(lab):
    lab.run()
    lab.change(ANEW)
    lab.accept()
    (lab.workspace.root / "accepted.yaml").unlink()
    assert lab.actions() == ["run", "depends", "depends"]


def test_a_checkout_without_private_notes_knows_what_was_accepted(lab):
    lab.run()
    lab.change(ANEW)
    lab.accept()
    shutil.rmtree(lab.workspace.private)
    assert lab.actions() == ALL_REUSED


def test_entries_tell_when_and_why_in_plain_yaml(lab):
    lab.run()
    lab.change(ANEW)
    lab.accept()
    (codes,) = yaml.safe_load((lab.workspace.root / "accepted.yaml").read_text()).values()
    (entry,) = codes.values()
    assert entry["because"] == "replayed in full, equal to data/numbers/demo"
    assert entry["changed"] == "tasks.made_up.double"
    assert len(entry["when"]) == len("2026-01-01")


WORK = """
from dataclasses import dataclass
from functools import cached_property
from lmcore.rest import LIMIT, OTHER, Kept, idle

@dataclass(frozen=True)
class Plain:
    steps: int

class Ran:
    @cached_property
    def once(self):
        return LIMIT

class Idle:
    def method(self):
        return OTHER

def decorated(function):
    return function

@decorated
def train():
    import threading
    thread = threading.Thread(target=lane)
    thread.start()
    thread.join()
    return Ran().once + Plain(1).steps

def lane():
    Kept().work()

def look():
    return Idle().method()
"""
REST = """
LIMIT, OTHER = 1, 2
class Kept:
    @staticmethod
    def work():
        return 1
def idle():
    return 1
"""


def test_a_replay_knows_what_of_the_code_it_has_run(tmp_path):
    package, out = tmp_path / "lmcore", tmp_path / "out.json"
    package.mkdir()
    start = "from lmcore.work import train\ntrain()\nraise SystemExit(143)"
    for name, text in (("__init__", ""), ("work", WORK), ("rest", REST), ("start", start)):
        (package / f"{name}.py").write_text(text)
    command = [sys.executable, "-m", "tasks.executed", str(out), "lmcore.start"]
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    assert subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode == 143
    misses = read_executed(out).misses
    ran = ["work:train", "work:lane", "work:Ran", "work:Plain", "work:", "rest:Kept", "rest:LIMIT"]
    idle = ["work:look", "work:Idle", "rest:OTHER", "rest:idle", "never:imported"]
    assert [name for name in ran + idle if misses(f"lmcore.{name}")] == idle
    assert not misses("tasks.pretrain:_train"), "what is not run there is run by whoever replays"


A, B, C = "1" * 16, "1234567890123e45", "abcdefabcdefabcd"


def test_a_chain_is_followed_to_its_end_and_survives_the_file(tmp_path):
    accepted = Accepted().with_entry("fit", B, Entry(A)).with_entry("fit", C, Entry(B, "replayed: 1, x"))
    write_accepted(tmp_path, accepted)
    read = read_accepted(tmp_path)
    assert read == accepted
    assert read.resolve("fit", C) == A
    assert read.resolve("other", C) == C
    with pytest.raises(SettingsError, match="the other way round"):
        accepted.with_entry("fit", A, Entry(C))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("fit: [", "is not YAML"),
        ("- fit", "not `name: value` lines"),
        ("fit: {A: {same_as: C}, C: {same_as: A}}", "stands for itself"),
        ("fit: {A: {same_as: A}}", "stands for itself"),
        ("fit: {A: {same_as: 12}}", "'12' for fit where 16 hexadecimal"),
        ("fit: {A: {because: x}}", "without 'same_as' in line 1"),
        ("fit: {A: {same: B}}", "'same' in line 1"),
        ("fit: {A: {same_as: [x]}}", "no text for 'same_as'"),
        ("fit:\n  A: {same_as: B}\n  A: {same_as: C}", r"line 3 .* stands there twice"),
        ("<<<<<<< ours\nfit: {}\n", "accepted.yaml"),
        ("fit: \xff", "cannot be read"),
    ],
)
def test_a_damaged_map_is_one_line_with_the_cure(tmp_path, text, complaint):
    for name, digits in (("A", A), ("B", B), ("C", C)):
        text = text.replace(name, digits)
    (tmp_path / "accepted.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=complaint) as caught:
        read_accepted(tmp_path)
    assert len(str(caught.value).splitlines()) == 1
    assert "remove" in str(caught.value)
