"""Reuse, restore, build: what a call comes to when things go well, and when they do not."""

import functools
import json
import os
import random
import shutil
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from lmcore.config import SettingsError
from lmcore.lineage import read_manifest
from tasks.engine import key, making, work
from tasks.engine.direct import Direct
from tasks.engine.locks import is_held
from tasks.engine.plan import Planner
from tasks.engine.run import Options
from tasks.engine.session import Session
from tasks.engine.step import Build, executing, step
from tasks.versioning import init

STEPS = ("write_text", "split_text", "train_toy", "count_words")
ALL_BUILT = dict.fromkeys(STEPS, "built")
ALL_REUSED = dict.fromkeys(STEPS, "reused")


def data(workspace, kind="toy_texts", name="demo") -> Path:
    return workspace.path(f"data/{kind}/{name}")


def the_model(workspace) -> Path:
    (model,) = workspace.root.glob("models/train_toy-*")
    return model


def test_what_is_made_once_is_reused(workspace, toy):
    assert toy.run_toy(workspace)[0].actions == ALL_BUILT
    assert toy.run_toy(workspace)[0].actions == ALL_REUSED


def test_a_moved_workspace_makes_nothing_again(workspace, toy, tmp_path):
    toy.run_toy(workspace)
    workspace.root.rename(tmp_path / "elsewhere")
    assert toy.run_toy(toy.Workspace(tmp_path / "elsewhere"))[0].actions == ALL_REUSED


def test_without_its_private_folder_a_workspace_makes_nothing_again(workspace, toy):
    toy.run_toy(workspace)
    shutil.rmtree(workspace.private)
    assert toy.run_toy(workspace)[0].actions == ALL_REUSED


def test_a_changed_setting_makes_what_depends_on_it_again_and_nothing_else(workspace, toy):
    toy.run_toy(workspace)
    heard, _ = toy.run_toy(workspace, {"train": {"steps": 5}})
    assert heard.actions == {
        "write_text": "reused", "split_text": "reused", "train_toy": "built", "count_words": "built"
    }  # fmt: skip
    assert len(list(workspace.root.glob("models/train_toy-*"))) == 2


def test_equal_bytes_upstream_leave_everything_below_in_place(workspace, toy):
    toy.run_toy(workspace)
    (workspace.sources / "toy.txt").write_text("a it is truth universally acknowledged")
    heard, _ = toy.run_toy(workspace)
    assert heard.actions["write_text"] == "built"
    assert heard.actions["split_text"] == "built"
    assert heard.actions["train_toy"] == "reused"


@pytest.mark.parametrize(
    "kind", ["flip", "delete file", "add file", "manifest", "no manifest", "delete", "a file"]
)
def test_a_damaged_product_is_made_again_with_equal_bytes(workspace, toy, products, kind):
    toy.run_toy(workspace)
    before, model = products(workspace), the_model(workspace)
    damage(model, kind)
    heard, _ = toy.run_toy(workspace)
    assert heard.actions == {**ALL_REUSED, "train_toy": "built"}
    assert products(workspace) == before
    assert toy.run_toy(workspace)[0].actions == ALL_REUSED


def damage(folder: Path, kind: str) -> None:
    match kind:
        case "flip":
            file = folder / "metrics.txt" if (folder / "metrics.txt").exists() else folder / "text.txt"
            content = bytearray(file.read_bytes())
            content[0] ^= 1
            file.write_bytes(content)
        case "delete file":
            next(file for file in folder.glob("*.txt")).unlink()
        case "add file":
            (folder / "extra.txt").write_text("x")
        case "manifest":
            file = folder / "manifest.json"
            file.write_text(file.read_text().replace('"steps": 3', '"steps": 4').replace("digest", "digset"))
        case "no manifest":
            (folder / "manifest.json").unlink()
        case "delete":
            shutil.rmtree(folder)
        case "a file":
            shutil.rmtree(folder)
            folder.write_text("not a product")


def test_what_lay_in_a_products_place_is_set_aside_never_thrown_away(workspace, toy):
    data(workspace).mkdir(parents=True)
    (data(workspace) / "mine.txt").write_text("precious")
    toy.run_toy(workspace)
    (kept,) = workspace.private.glob("aside/*/mine.txt")
    assert kept.read_text() == "precious"


def test_damaged_data_is_restored_from_dvcs_cache(workspace, toy, products):
    init(workspace.root)
    toy.run_toy(workspace, keep_copies=True)
    before = products(workspace)
    for kind in ("flip", "delete"):
        damage(data(workspace), kind)
        heard, result = toy.run_toy(workspace, keep_copies=True)
        assert heard.actions == {**ALL_REUSED, "write_text": "restored"}
        assert [line.action for line in result.lines] == ["restore", "reuse", "reuse", "reuse"]
        assert products(workspace) == before
    damage(data(workspace), "flip")
    shutil.rmtree(workspace.root / ".dvc" / "cache")
    heard, result = toy.run_toy(workspace, keep_copies=True)
    assert result.lines[0].action == "run"
    assert heard.actions == {**ALL_REUSED, "write_text": "built"}
    # What the cache lost is taken into it again, also for products that are only reused.
    shutil.rmtree(workspace.root / ".dvc" / "cache")
    toy.run_toy(workspace, keep_copies=True)
    shutil.rmtree(data(workspace, "toy_corpora"))
    assert toy.run_toy(workspace, keep_copies=True)[0].actions == {**ALL_REUSED, "split_text": "restored"}


def test_a_damaged_copy_is_never_delivered(workspace, toy, products):
    init(workspace.root)
    toy.run_toy(workspace, keep_copies=True)
    before = products(workspace)
    for file in (workspace.root / ".dvc" / "cache").rglob("*"):
        if file.is_file() and not file.name.endswith(".dir"):
            file.chmod(0o644)
            file.write_bytes(file.read_bytes() + b"!")
    shutil.rmtree(data(workspace))
    heard, _ = toy.run_toy(workspace, keep_copies=True)
    assert heard.actions["write_text"] == "built"
    assert sum("of no use" in line for line in heard.lines) == 1
    assert products(workspace) == before


def test_refresh_makes_again_what_other_libraries_made_also_where_a_copy_is_kept(workspace, toy, monkeypatch):
    init(workspace.root)
    toy.run_toy(workspace, keep_copies=True)
    now = {**key.environment(), "torch": "99.0"}
    for module in (key, making):
        monkeypatch.setattr(module, "environment", lambda: now)
    heard, result = toy.run_toy(workspace, keep_copies=True)
    assert heard.actions == ALL_REUSED
    assert "now 99.0" in str(result.lines[0].warning)
    heard, result = toy.run_toy(workspace, options=Options(refresh=True), keep_copies=True)
    assert {line.action for line in result.lines} == {"run", "depends"}
    assert heard.actions == dict.fromkeys(STEPS, "rebuilt")
    heard, result = toy.run_toy(workspace, options=Options(refresh=True), keep_copies=True)
    assert heard.actions == ALL_REUSED
    assert result.lines[0].warning is None


def test_verify_finds_a_byte_that_was_changed_behind_an_unchanged_stat(workspace, toy, monkeypatch):
    toy.run_toy(workspace)
    file = data(workspace) / "text.txt"
    time.sleep(0.06)
    toy.run_toy(workspace)  # remembers the stat
    before = file.stat()
    file.write_bytes(file.read_bytes().swapcase())
    from tasks.engine import proof

    real = proof._stat
    seen = (before.st_size, before.st_mtime_ns, before.st_ctime_ns, before.st_ino)
    monkeypatch.setattr(proof, "_stat", lambda path: seen if path == file else real(path))
    assert toy.run_toy(workspace)[0].actions == ALL_REUSED
    assert toy.run_toy(workspace, options=Options(verify=True))[0].actions["write_text"] == "built"


def test_forced_with_the_same_bytes_the_old_product_stays(workspace, toy):
    toy.run_toy(workspace)
    inode = the_model(workspace).stat().st_ino
    heard, _ = toy.run_toy(workspace, options=Options(force=("train_toy",)))
    assert heard.actions == {**ALL_REUSED, "train_toy": "rebuilt"}
    assert heard.outcomes["train_toy"].why == "same bytes as before"
    assert the_model(workspace).stat().st_ino == inode


def test_forced_with_other_bytes_the_old_product_is_set_aside_and_it_is_said(workspace, toy, monkeypatch):
    init(workspace.root)
    toy.run_toy(workspace, keep_copies=True)
    real = toy.write_text.function
    random_step = replace(toy.write_text, function=real)

    @functools.wraps(real)
    def write_text(build, *arguments, **named):
        facts = real(build, *arguments, **named)
        (build.folder / "text.txt").write_text(f"chance {time.time_ns()}")
        return facts

    object.__setattr__(random_step, "function", write_text)
    monkeypatch.setattr(toy, "write_text", random_step)
    heard, _ = toy.run_toy(workspace, options=Options(force=("write_text",)), keep_copies=True)
    assert any("not deterministic" in line for line in heard.lines)
    assert len(list(workspace.private.glob("aside/*/text.txt"))) == 1
    # The copy follows what stands there now.
    chance = (data(workspace) / "text.txt").read_text()
    shutil.rmtree(data(workspace))
    assert toy.run_toy(workspace, keep_copies=True)[0].actions["write_text"] == "restored"
    assert (data(workspace) / "text.txt").read_text() == chance


def test_killed_at_any_moment_the_next_run_ends_with_the_same_products(
    workspace, toy, start, products, tmp_path
):
    other = toy.Workspace(tmp_path / "undisturbed")
    shutil.copytree(workspace.root, other.root)
    toy.run_toy(other, {"train": {"steps": 60}})
    generator = random.Random(5)
    kills = 0
    locks = workspace.private / "locks"
    for _ in range(6):
        process = start(workspace, pause=0.05, train={"steps": 60})
        while process.poll() is None and not any(map(is_held, locks.glob("*.build"))):
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.4))
        kills += process.poll() is None
        process.kill()
        process.communicate()
        for address, digest in products(workspace).items():  # nothing half-written is in its place
            assert digest == products(other)[address]
    assert kills >= 3
    toy.run_toy(workspace, {"train": {"steps": 60}})
    assert products(workspace) == products(other)


LINES = [
    ("os.rename", "before"), ("os.rename", "after"), ("making._put_in_place", "before"),
    ("work._keep", "before"),
    ("store.write_manifest", "before"), ("store.write_manifest", "after"), ("store._exchange", "before"),
    ("store._exchange", "after"), ("store._remove", "before"), ("carried.write_small", "before"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "when"), LINES)
@pytest.mark.parametrize("nth", [1, 2])
def test_a_death_at_each_dangerous_line_loses_and_forges_nothing(
    workspace, toy, products, monkeypatch, place, when, nth
):
    """Death is an exception that nothing catches, thrown at a line: what a kill leaves behind there."""
    toy.run_toy(workspace)
    (workspace.sources / "toy.txt").write_text("other words are in it is a truth")
    die_at(monkeypatch, place, when, nth)
    with suppress(Death):  # a line that this run does not come to so often kills nobody
        toy.run_toy(workspace)
    monkeypatch.undo()
    toy.run_toy(workspace)
    assert toy.run_toy(workspace, options=Options(verify=True))[0].actions == ALL_REUSED
    ledger = (data(workspace, "toy_corpora") / "ledger.csv").read_text().splitlines()
    old = ["a,train", "acknowledged,test", "is,train", "it,test", "truth,train", "universally,test"]
    assert ledger[:6] == old


class Death(BaseException):
    pass


def die_at(monkeypatch, place: str, when: str, nth: int) -> None:
    from tasks.engine import carried, store

    module, _, name = place.rpartition(".")
    owner = {"os": os, "work": work, "making": making, "store": store, "carried": carried}[module]
    real, calls = getattr(owner, name), []

    def dying(*arguments, **named):
        calls.append(name)
        if len(calls) == nth and when == "before":
            raise Death
        answer = real(*arguments, **named)
        if len(calls) == nth:
            raise Death
        return answer

    monkeypatch.setattr(owner, name, dying)


def test_a_killed_resumable_step_goes_on_and_other_steps_start_anew(workspace, toy, start):
    process = start(workspace, pause=0.1, train={"steps": 40})
    scratch = workspace.private / "scratch"
    while process.poll() is None and not any(
        file.read_text().count("\n") >= 3 for file in scratch.glob("train_toy-*/metrics.txt")
    ):
        time.sleep(0.01)
    process.kill()
    process.communicate()
    toy.run_toy(workspace, {"train": {"steps": 40}})
    first, second = map(int, (the_model(workspace) / "log" / "starts.txt").read_text().split())
    assert (first, second >= 3) == (0, True)
    assert (the_model(workspace) / "metrics.txt").read_text().count("\n") == 40


def test_finished_work_that_was_sealed_but_not_moved_is_not_lost(workspace, toy, monkeypatch):
    die_at(monkeypatch, "making._put_in_place", "before", 3)
    with pytest.raises(Death):
        toy.run_toy(workspace)
    monkeypatch.undo()
    toy.run_toy(workspace)
    assert (the_model(workspace) / "log" / "starts.txt").read_text() == "0\n3\n"


def test_a_damaged_leftover_is_never_taken_for_unfinished_work(workspace, toy):
    toy.run_toy(workspace)
    model = the_model(workspace)
    key = read_manifest(model).key
    scratch = workspace.private / "scratch" / f"train_toy-{key[:16]}~{model.name}"
    shutil.copytree(model, scratch)
    damage(scratch, "flip")
    shutil.rmtree(model)
    toy.run_toy(workspace)
    assert (model / "log" / "starts.txt").read_text() == "0\n"


def test_two_processes_at_once_make_each_product_once(workspace, start):
    runs = [start(workspace, pause=0.1) for _ in range(2)]
    outputs = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    first, second = (json.loads(out) for out, _ in outputs)
    assert sorted(first) == sorted(STEPS)
    for name in STEPS:
        assert sorted([first[name], second[name]]) == ["built", "reused"]


def test_two_names_with_one_key_are_built_at_once_without_meeting_in_scratch(workspace, start, products):
    runs = [start(workspace, name=name, pause=0.2) for name in ("left", "right")]
    outputs = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    made = products(workspace)
    assert made["data/toy_texts/left"] == made["data/toy_texts/right"]


def test_two_versions_under_one_name_take_turns_and_neither_is_torn(workspace, start, toy):
    runs = [start(workspace, pause=0.05, text={"is_upper": is_upper}) for is_upper in (True, False)]
    outputs = [run.communicate(timeout=60) for run in runs]
    for run, (_, errors) in zip(runs, outputs, strict=True):
        assert run.returncode == 0 or "changed while this run was using it" in errors
    assert toy.run_toy(workspace, {"text": {"is_upper": True}})[1].answer
    assert toy.run_toy(workspace)[1].answer


def test_a_returning_version_keeps_its_ledger_and_a_new_one_starts_from_the_newest(workspace, toy):
    source, ledger = workspace.sources / "toy.txt", data(workspace, "toy_corpora") / "ledger.csv"
    toy.run_toy(workspace)
    first, first_text = read_manifest(ledger.parent), ledger.read_text()
    source.write_text("the second version")
    toy.run_toy(workspace)
    assert ledger.read_text().startswith(first_text)
    second_text = ledger.read_text()
    source.write_text("it is a truth universally acknowledged")
    heard, _ = toy.run_toy(workspace)
    assert read_manifest(ledger.parent).key == first.key
    assert heard.actions["train_toy"] == "reused"
    toy.run_toy(workspace, options=Options(force=("split_text",)))
    source.write_text("a third one")
    toy.run_toy(workspace)
    assert ledger.read_text().startswith(second_text)
    assert toy.run_toy(workspace)[0].actions == ALL_REUSED


def test_two_new_versions_at_once_start_one_from_the_others_ledger(workspace, toy):
    toy.run_toy(workspace)
    heard = toy.Heard()

    def split(words: str) -> None:
        (workspace.sources / f"{words}.txt").write_text(words)
        source = toy.ToySource(f"data/sources/{words}.txt", words, words)
        session = Session(workspace, keep_copies=False, listener=heard)
        with executing(Direct(session)), suppress(SettingsError):
            text = toy.write_text(source, toy.TextConfig(), name=words)
            toy.split_text(text, name="demo")

    with Session(workspace).store.building("data/toy_corpora/demo"):
        threads = [threading.Thread(target=split, args=[words]) for words in ("left", "right")]
        for thread in threads:
            thread.start()
        while len(heard.lines) < 2:  # both know their key, and wait
            time.sleep(0.01)
    for thread in threads:
        thread.join(20)
    ledger = (data(workspace, "toy_corpora") / "ledger.csv").read_text()
    assert "left," in ledger
    assert "right," in ledger


def test_a_deleted_corpus_starts_from_the_ledger_that_it_had(workspace, toy, products):
    source, ledger = workspace.sources / "toy.txt", data(workspace, "toy_corpora") / "ledger.csv"
    toy.run_toy(workspace)
    source.write_text("the second version")
    toy.run_toy(workspace)
    before = products(workspace)
    shutil.rmtree(ledger.parent)
    assert toy.run_toy(workspace)[0].actions == {**ALL_REUSED, "split_text": "built"}
    assert products(workspace) == before


def test_a_ledger_of_which_no_copy_is_left_is_an_error_not_a_new_beginning(workspace, toy):
    toy.run_toy(workspace)
    (workspace.sources / "toy.txt").write_text("the second version")
    toy.run_toy(workspace)
    shutil.rmtree(workspace.private / "carried")
    assert toy.run_toy(workspace)[0].actions == ALL_REUSED
    shutil.rmtree(workspace.private / "carried")
    with pytest.raises(SettingsError, match=r"starts from a ledger\.csv .* of which no copy is left"):
        toy.run_toy(workspace, options=Options(force=("split_text",)))


def test_an_input_that_another_run_replaced_is_refused(workspace, toy):
    toy.run_toy(workspace)
    text = toy.ToyText("data/toy_texts/demo", "demo", "0" * 64, "1" * 64, 10)
    with (
        executing(Direct(Session(workspace, keep_copies=False))),
        pytest.raises(SettingsError, match="run again"),
    ):
        toy.split_text(text, name="other")


def test_a_step_that_would_replace_what_it_reads_is_refused_instead_of_waiting_for_ever(workspace, toy):
    @step(makes=toy.ToyText)
    def tidy(build: Build, text, *, name: str):
        return {}

    _, result = toy.run_toy(workspace)
    text = toy.ToyText("data/toy_texts/demo", "demo", read_manifest(data(workspace)).digest)
    with (
        executing(Direct(Session(workspace))),
        pytest.raises(SettingsError, match="give what it makes another name"),
    ):
        tidy(text, name="demo")
    assert result.answer


def test_a_product_waits_for_its_readers_before_it_is_replaced(workspace, toy):
    toy.run_toy(workspace)
    session, seen = Session(workspace), []
    with session.store.reading("data/toy_texts/demo"):
        other = threading.Thread(
            target=lambda: seen.append(toy.run_toy(workspace, {"text": {"is_upper": True}}))
        )
        other.start()
        time.sleep(0.3)
        assert not seen
        assert (data(workspace) / "text.txt").read_text().islower()
    other.join(20)
    assert (data(workspace) / "text.txt").read_text().isupper()


def test_a_failed_step_leaves_nothing_and_its_own_error(workspace, toy):
    @step(makes=toy.ToyReport)
    def fail(build: Build, *, name: str):
        (build.folder / "half.txt").write_text("half")
        raise OSError(28, "No space left on device")

    with (
        executing(Direct(Session(workspace))),
        pytest.raises(SettingsError, match=r"disk is full .* make room"),
    ):
        fail(name="demo")
    assert not list(workspace.root.glob("reports/*"))
    assert not list(workspace.private.glob("scratch/*"))


def test_a_link_in_a_product_is_refused_before_it_is_sealed(workspace, toy):
    @step(makes=toy.ToyReport)
    def link(build: Build, *, name: str):
        (build.folder / "passwords").symlink_to("/etc/passwd")
        return {}

    with executing(Direct(Session(workspace))), pytest.raises(ValueError, match="no plain file"):
        link(name="demo")
    assert not list(workspace.root.glob("reports/*"))


def test_threads_and_other_ignored_parameters_are_no_part_of_the_key(workspace, toy):
    toy.run_toy(workspace)
    corpus = toy.ToyCorpus(
        "data/toy_corpora/demo", "demo", read_manifest(data(workspace, "toy_corpora")).digest
    )
    heard = toy.Heard()
    with executing(Direct(Session(workspace, listener=heard))):
        toy.train_toy(corpus, toy.TrainConfig(), 7, name="demo")
    assert heard.actions == {"train_toy": "reused"}


def test_what_a_step_sees_of_the_world_stands_in_its_key_and_a_plan_names_what_changed(workspace, toy):
    flag = workspace.root / "flag"

    @step(makes=toy.ToyReport, sees=lambda root, arguments: {"flag": (root / "flag").read_text()})
    def look(build: Build, *, name: str):
        (build.folder / "seen.txt").write_text(build.seen["flag"])
        return {}

    def looked() -> str:
        heard = toy.Heard()
        with executing(Direct(Session(workspace, listener=heard))):
            made = look(name="demo")
        return f"{heard.actions['look']} {(workspace.path(made.address) / 'seen.txt').read_text()}"

    flag.write_text("red")
    assert [looked(), looked()] == ["built red", "reused red"]
    flag.write_text("green")
    planner = Planner(Session(workspace))
    with executing(planner):
        look(name="demo")
    assert [(line.action, line.why) for line in planner.lines] == [("run", "flag red -> green")]
    assert [looked(), looked()] == ["built green", "reused green"]
    flag.write_text("red")
    assert looked() == "reused red"
