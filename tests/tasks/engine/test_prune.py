"""What nobody can reach goes; what is kept is whole, and what went is made again with the same bytes."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.engine import leftovers
from tasks.engine import prune as pruning
from tasks.engine.proof import memory_of
from tasks.engine.prune import prune
from tasks.engine.reach import product_folders
from tasks.engine.store import Store
from tasks.tracking.journal import Journal
from tasks.versioning import has, init

QUIET = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


@pytest.fixture
def old(workspace, toy):
    """A workspace in which the demo was trained for three steps, later for five, all of it long ago."""
    (workspace.root / "experiments" / "toy").mkdir()
    (workspace.root / "experiments" / "toy" / "demo.yaml").touch()
    toy.run_toy(workspace)
    toy.run_toy(workspace, {"train": {"steps": 5}})
    age(workspace)
    return workspace


def age(workspace, days=30):
    """As if nobody had done anything for so long."""
    then = time.time() - days * 86_400
    for path in [*workspace.private.rglob("*"), *workspace.root.glob("*/*/manifest.json")]:
        if path.is_file():
            os.utime(path, (then, then))


def tree(workspace):
    return {path.relative_to(workspace.root).as_posix() for path in workspace.root.rglob("*")}


def models(workspace):
    return {path.name: len(path.joinpath("metrics.txt").read_text().split("\n")) - 1
            for path in workspace.root.glob("models/train_toy-*")}  # fmt: skip


def kinds(pruned):
    return {kind: number for kind, (number, _) in pruned.totals().items()}


def test_what_no_link_leads_to_goes_and_comes_back_with_the_same_digests(old, toy, products):
    before = products(old)
    pruned = prune(old)
    assert list(models(old).values()) == [5]
    assert kinds(pruned)["product"] == 2
    assert products(old).items() < before.items()
    heard, _ = toy.run_toy(old, {"train": {"steps": 5}})
    assert set(heard.actions.values()) == {"reused"}
    heard, _ = toy.run_toy(old)
    assert heard.actions == {
        "write_text": "reused", "split_text": "reused", "train_toy": "built", "count_words": "built"
    }  # fmt: skip
    assert products(old) == before


def test_a_dry_run_tells_the_same_and_changes_nothing(old):
    for folder in product_folders(old):  # its digests are remembered, unless its files are a moment old
        memory = memory_of(old, folder)
        memory.parent.mkdir(exist_ok=True)
        memory.write_text("{}")
    age(old)
    before = tree(old)
    told = prune(old, is_dry_run=True)
    assert tree(old) == before
    assert told.items == prune(old).items
    assert prune(old).items == []


def test_what_a_run_made_or_used_of_late_stays(old, toy):
    assert [item.kind for item in prune(old, days=60).items] == []
    toy.run_toy(old)  # reuses what was made with three steps
    toy.run_toy(old, {"train": {"steps": 5}})
    assert [item.kind for item in prune(old).items] == []
    assert len(models(old)) == 2


def test_names_made_for_a_command_line_go_when_they_are_old(old, toy):
    toy.run_toy(old, {"train": {"steps": 7}}, name="demo-3fa9c1")
    assert prune(old, is_dry_run=True).totals()["product"][0] == 2
    age(old)
    prune(old)
    assert list(models(old).values()) == [5]
    assert not (old.root / "models" / "demo-3fa9c1").exists()
    assert not list(old.private.glob("last/*demo-3fa9c1")) or old.path("data/toy_texts/demo-3fa9c1").exists()
    assert old.path("data/toy_corpora/demo-3fa9c1").exists()


def test_an_experiment_that_was_deleted_keeps_nothing(old):
    (old.root / "experiments" / "toy" / "demo.yaml").unlink()
    assert kinds(prune(old))["product"] == 4
    assert models(old) == {}
    assert not (old.root / "models" / "demo").exists()


def test_a_registered_version_keeps_itself_and_all_that_it_was_made_from(old, toy, monkeypatch):
    init(old.root)
    toy.run_toy(old, keep_copies=True)
    (first,) = [path for path, steps in models(old).items() if steps == 3]
    manifest = Store(old).read(old.path(f"models/{first}"))
    (old.sources / "toy.txt").write_text("something else altogether")
    toy.run_toy(old, keep_copies=True)
    age(old)
    version = SimpleNamespace(key=manifest.key, digest=manifest.digest, folder=old.root / "nowhere")
    monkeypatch.setattr(sys.modules["tasks.tracking.versions"], "versions", lambda root: [version])
    prune(old)
    assert (old.path(f"models/{first}")).is_dir()
    copies = Store(old).copies(manifest.inputs["corpus"]["key"])
    assert has(old.root, copies.dvc)


def test_a_version_that_the_registry_has_lost_and_a_journal_knows_keeps_its_product(old):
    (first,) = [path for path, steps in models(old).items() if steps == 3]
    digest = Store(old).read(old.path(f"models/{first}")).digest
    rows = [{"alias": "champion", "from": None, "to": 1}]
    facts = {"cause": "first", "why": "", "moves": rows, "digests": {"1": digest}}
    Journal(old.root, "demo").append("move", **facts)
    prune(old)
    assert (old.path(f"models/{first}")).is_dir()
    assert (old.root / "releases" / "demo.jsonl").is_file()
    (old.root / "releases" / "demo.jsonl").unlink()
    prune(old)
    assert not (old.path(f"models/{first}")).exists()


def test_what_is_being_read_or_made_stays(old):
    (first,) = [path for path, steps in models(old).items() if steps == 3]
    with Store(old).reading(f"models/{first}"):
        assert f"models/{first} is in use" in prune(old, is_dry_run=True).kept
        assert f"models/{first} is in use" in prune(old).kept
    assert len(models(old)) == 2
    prune(old)
    assert len(models(old)) == 1


def test_what_a_run_takes_up_while_it_is_looked_for_stays(old, toy, monkeypatch):
    """Between finding that nobody needs a product and taking it away, somebody may come to need it."""
    plain = pruning.hold_all

    def late(locks, held):
        toy.run_toy(old)
        return plain(locks, held)

    monkeypatch.setattr(pruning, "hold_all", late)
    assert kinds(prune(old)).get("product", 0) == 0
    assert len(models(old)) == 2


def test_prune_beside_a_run_does_it_no_harm(old, toy, start, products):
    before = products(old)
    run = start(old, pause=0.05, train={"steps": 9})
    while run.poll() is None:
        prune(old, days=0)
        time.sleep(0.05)
    _, errors = run.communicate()
    assert run.returncode == 0, errors
    for settings in ({}, {"train": {"steps": 5}}):
        toy.run_toy(old, settings)
    assert before.items() <= products(old).items()


def test_a_prune_that_is_killed_leaves_products_whole_or_gone(old, monkeypatch):
    def die(path):
        next(path.rglob("*.txt")).unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(leftovers.shutil, "rmtree", die)
    with pytest.raises(KeyboardInterrupt):
        prune(old)
    monkeypatch.undo()
    for folder in [*old.root.glob("models/*-*"), *old.root.glob("reports/*-*")]:
        assert Store(old).read(folder)
        assert list(folder.glob("*.txt")) or list(folder.glob("*.json"))
    prune(old)
    assert not list(old.private.glob("trash/*"))


def test_half_made_products_go_unless_the_next_run_can_go_on_with_them(old, toy, start, products):
    def kill_in(step, **settings):
        run = start(old, pause=0.2, **settings)
        while not list(old.private.glob(f"scratch/{step}-*/*")):
            time.sleep(0.005)
        assert any("in use" in line for line in prune(old, days=-1, is_dry_run=True).kept)
        run.kill()
        run.communicate()

    kill_in("train_toy", train={"steps": 50})
    assert "unfinished work" not in kinds(prune(old))
    assert kinds(prune(old, days=-1))["unfinished work"] == 1
    kill_in("write_text", text={"is_upper": True})
    assert kinds(prune(old))["unfinished work"] == 1
    assert not list(old.private.glob("scratch/*"))


def git(workspace, *arguments):
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@y", *arguments]
    subprocess.run(command, cwd=workspace.root, env=os.environ | QUIET, check=True, capture_output=True)


def change_source(workspace, toy, text):
    """A new version of the data; returns the version that lay there before."""
    store = Store(workspace)
    before = store.copies(store.last("write_text", "demo").key)
    (workspace.sources / "toy.txt").write_text(text)
    toy.run_toy(workspace, keep_copies=True)
    return before.dvc if before else ""


def test_versions_that_no_file_in_git_names_leave_dvcs_cache(old, toy):
    init(old.root)
    toy.run_toy(old, keep_copies=True)
    branch = change_source(old, toy, "one two three")
    git(old, "init", "-q")
    (old.root / "dvc.lock").write_text(f"stages:\n  write_text:\n    outs:\n    - md5: {branch}\n")
    git(old, "add", "dvc.lock")
    git(old, "commit", "-qm", "one")
    git(old, "checkout", "-qb", "other")
    tag = change_source(old, toy, "four five six")
    (old.root / "dvc.lock").write_text(f"stages:\n  write_text:\n    outs:\n    - md5: {tag}\n")
    git(old, "commit", "-qam", "two")
    git(old, "tag", "-a", "v1", "-m", "v1")
    git(old, "rm", "-q", "dvc.lock")
    git(old, "commit", "-qm", "three")
    loose = change_source(old, toy, "seven eight nine")
    staged = change_source(old, toy, "ten eleven")
    (old.root / "staged.dvc").write_text(f"outs:\n- md5: {staged}\n")
    git(old, "add", "staged.dvc")
    (old.root / "staged.dvc").unlink()
    now = change_source(old, toy, "ten eleven twelve")
    now = Store(old).copies(Store(old).last("write_text", "demo").key).dvc
    age(old)
    assert all(has(old.root, version) for version in (branch, tag, loose, staged, now))
    assert kinds(prune(old))["DVC object"] >= 3
    assert [has(old.root, version) for version in (branch, tag, staged, now)] == [True] * 4
    assert not has(old.root, loose)
    shutil.rmtree(old.path("data/toy_texts/demo"))
    heard, _ = toy.run_toy(old, keep_copies=True)
    assert heard.actions["write_text"] == "restored"


def test_data_whose_copy_nobody_remembers_keeps_its_copy(old, toy):
    init(old.root)
    toy.run_toy(old, keep_copies=True)
    version = Store(old).copies(Store(old).last("write_text", "demo").key).dvc
    shutil.rmtree(old.private / "copies")
    age(old)
    prune(old)
    assert has(old.root, version)


def test_a_cache_that_others_may_use_is_left_alone(old, toy, tmp_path):
    init(old.root)
    config = old.root / ".dvc" / "config"
    config.write_text(config.read_text() + f"    dir = {tmp_path / 'shared'}\n")
    toy.run_toy(old, keep_copies=True)
    change_source(old, toy, "one two three")
    age(old)
    objects = sorted((tmp_path / "shared").rglob("*"))
    assert objects
    assert any("may be others'" in line for line in prune(old).kept)
    assert sorted((tmp_path / "shared").rglob("*")) == objects


def test_where_git_does_not_answer_the_cache_is_left_alone(old, toy):
    init(old.root)
    toy.run_toy(old, keep_copies=True)
    change_source(old, toy, "one two three")
    (old.root / ".git").write_text("gitdir: nowhere\n")
    age(old)
    assert any("DVC's cache is left alone" in line for line in prune(old).kept)


def test_a_registry_that_does_not_read_stops_everything(old):
    (old.root / "mlflow.db").write_bytes(b"no database" * 100)
    before = tree(old)
    with pytest.raises(ValueError, match=r"cannot read .*mlflow\.db"):
        prune(old)
    assert tree(old) == before


def test_what_was_set_aside_and_old_notes_go_with_time(old):
    aside = old.private / "aside" / f"data~x~y.{time.time_ns() - 20 * 86_400 * 10**9}"
    fresh = old.private / "aside" / f"data~x~y.{time.time_ns()}"
    for folder in (aside, fresh):
        folder.mkdir(parents=True)
    (old.private / "errors").mkdir()
    (old.private / "errors" / "x.txt").write_text("x")
    age(old)
    pruned = prune(old)
    assert not aside.exists()
    assert fresh.exists()
    assert not list((old.private / "errors").glob("*"))
    ledgers = {path.name for path in (old.private / "carried").glob("[0-9a-f]*")}
    assert ledgers, "the ledger that the corpus hands on is named by its manifest"
    assert pruned.totals()["set aside"][0] == 1


def test_a_file_in_a_products_place_is_not_taken_for_one(old):
    mine = old.root / "models" / "train_toy-0123456789ab"
    mine.mkdir()
    (mine / "thesis.txt").write_text("precious")
    prune(old, days=0)
    assert Path(mine / "thesis.txt").read_text() == "precious"
