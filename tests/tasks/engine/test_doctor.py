"""The doctor finds what a kill left, all of it and nothing else, and mends it."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.engine.checks import databases, machine
from tasks.engine.doctor import examine, mend
from tasks.engine.store import Store
from tasks.versioning import init

DEAD = "4194303"  # a process id that a machine with the usual limits never gives


@pytest.fixture(autouse=True)
def a_tidy_machine(monkeypatch):
    """Versions of libraries and room on the disk are not what these tests are about."""
    monkeypatch.setattr(machine, "_requirements", list)
    monkeypatch.setattr(machine, "LEAST_FREE", 0)


def tree(workspace):
    """All that lies in a workspace, but for locks, remembered facts and pages."""
    passed_over = (".lm/locks", ".lm/proofs", ".lm/code-facts.json", "reports/runs")
    found = (path.relative_to(workspace.root).as_posix() for path in workspace.root.rglob("*"))
    return {path for path in found if not path.startswith(passed_over)}


def told(findings):
    return [finding.what for finding in findings]


def faults(workspace, **options):
    return told(finding for finding in examine(workspace, **options) if not finding.is_note)


def test_a_workspace_in_order_has_nothing_to_find(workspace, toy):
    assert examine(workspace) == []
    toy.run_toy(workspace)
    assert examine(workspace) == []
    assert examine(workspace, is_thorough=True) == []


def test_killed_at_any_moment_what_is_left_is_found_and_mended(workspace, toy, start, products, tmp_path):
    reference = toy.Workspace(tmp_path / "reference")
    shutil.copytree(workspace.root, reference.root)
    toy.run_toy(reference)
    usual, generator, was_found = tree(reference), random.Random(7), 0
    for step in ("write_text", "split_text", "train_toy", "train_toy"):
        run = start(workspace, pause=0.25)
        while run.poll() is None and not list(workspace.private.glob(f"scratch/{step}-*")):
            time.sleep(0.002)
        assert faults(workspace) == [], "what a living run does is no fault"
        time.sleep(generator.uniform(0, 0.1))
        run.kill()
        run.communicate()
        left, findings = tree(workspace) - usual, examine(workspace)
        heads = {
            "/".join(Path(path).parts[: 3 if path.startswith(".lm/scratch/") else None]) for path in left
        }
        assert len(findings) == len(heads), (findings, heads)
        was_found += len(findings)
        mend(findings)
        assert faults(workspace) == []
        assert all(path.startswith(".lm/scratch") for path in tree(workspace) - usual)
    assert was_found >= 2
    toy.run_toy(workspace)
    assert products(workspace) == products(reference)
    assert tree(workspace) <= usual | {path for path in tree(workspace) if "~" in path}
    assert examine(workspace) == []


def test_work_that_can_be_gone_on_with_is_kept_unless_all_is_to_go(workspace, toy, start):
    run = start(workspace, pause=0.1, train={"steps": 50})
    while not list(workspace.private.glob("scratch/train_toy-*/metrics.txt")):
        time.sleep(0.005)
    run.kill()
    run.communicate()
    (note,) = examine(workspace)
    assert note.is_note
    assert note.what.startswith("train_toy (train_toy-")
    assert note.what.endswith(") was interrupted")
    assert note.cure == "the next run goes on with it"
    assert mend([note]) == []
    assert examine(workspace) == [note]
    mend([note], with_notes=True)
    assert examine(workspace) == []


def test_half_written_files_are_found_once_their_writer_is_gone(workspace, toy):
    toy.run_toy(workspace)
    private = workspace.private
    dead = [
        private / "manifests" / f".abc.json.{DEAD}.123",
        private / "last" / f".write_text@demo.{DEAD}.5",
        private / f"code-facts.{DEAD}.140",
        private / "proofs" / f"{'0' * 24}.{DEAD}.7",
        private / "mlflow-0123.db",
        private / "records" / ".x.json.140233",
        workspace.root / f".dvc.{DEAD}",
        workspace.root / "models" / "demo" / f".train_toy.{DEAD}",
    ]
    alive = [private / "manifests" / f".abc.json.{os.getpid()}.123", private / f"code-facts.{os.getpid()}.1"]
    for path in [*dead[:-1], *alive]:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    dead[-1].symlink_to("../nowhere")
    findings = examine(workspace)
    assert sorted(told(findings)) == sorted(
        f"{workspace.address(path)} was being written when its process was killed" for path in dead
    )
    mend(findings)
    assert examine(workspace) == []
    assert all(path.exists() for path in alive)


@pytest.mark.parametrize("ending", ["incoming", DEAD])
def test_a_product_on_its_way_goes_into_its_place_if_that_is_empty(workspace, toy, products, ending):
    toy.run_toy(workspace)
    before, home = products(workspace), workspace.path("data/toy_texts")
    shutil.copytree(home / "demo", home / f".demo.{ending}")
    assert faults(workspace) == [f"data/toy_texts/.demo.{ending} was on its way when its run was killed"]
    mend(examine(workspace))
    assert faults(workspace) == []
    (home / "demo").rename(home / f".demo.{ending}")
    mend(examine(workspace))
    assert products(workspace) == before


@pytest.mark.parametrize("damage", ["flip", "no manifest", "broken manifest", "a stranger"])
def test_damaged_products_are_set_aside_and_made_again(workspace, toy, products, damage):
    toy.run_toy(workspace)
    before, folder = products(workspace), workspace.path("data/toy_texts/demo")
    match damage:
        case "flip":
            (folder / "text.txt").write_text("It is a truth")
        case "no manifest":
            (folder / "manifest.json").unlink()
        case "broken manifest":
            (folder / "manifest.json").write_text("{")
        case "a stranger":
            shutil.rmtree(folder)
            folder.mkdir()
            (folder / "thesis.txt").write_text("precious")
    (found,) = examine(workspace)
    assert found.what.startswith("data/toy_texts/demo")
    mend([found])
    assert examine(workspace) == []
    assert list(workspace.private.glob("aside/*/*.txt")), "set aside, never deleted"
    toy.run_toy(workspace)
    assert products(workspace) == before


def test_a_flipped_byte_under_an_unchanged_stat_is_found_where_asked_for(workspace, toy):
    toy.run_toy(workspace)
    file = workspace.path("data/toy_texts/demo") / "text.txt"
    time.sleep(0.06)  # what was written just now is not remembered yet
    examine(workspace)
    memory = next(path for path in workspace.private.glob("proofs/*") if "text.txt" in path.read_text())
    file.write_text(file.read_text().replace("it is", "at is"))
    stat = file.stat()
    known = json.loads(memory.read_text())
    known["text.txt"][0] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    time.sleep(0.06)
    memory.write_text(json.dumps(known))
    assert faults(workspace) == []
    assert faults(workspace, is_thorough=True) == ["data/toy_texts/demo/text.txt was changed"]


def test_a_link_to_nothing_is_removed(workspace, toy):
    toy.run_toy(workspace)
    (model,) = workspace.root.glob("models/train_toy-*")
    shutil.rmtree(model)
    (found,) = examine(workspace)
    assert found.what == f"models/demo/train_toy leads to ../{model.name}, which is gone"
    mend([found])
    assert examine(workspace) == []
    assert toy.run_toy(workspace)[0].actions["train_toy"] == "built"
    assert (workspace.root / "models" / "demo" / "train_toy").exists()


def test_damaged_ledgers_and_versions_are_found(workspace, toy):
    init(workspace.root)
    toy.run_toy(workspace, keep_copies=True)
    (ledger,) = (path for path in workspace.private.glob("carried/*") if path.suffix != ".json")
    ledger.write_text("x")
    version = Store(workspace).copies(Store(workspace).last("write_text", "demo").key).dvc
    listing = workspace.root / ".dvc" / "cache" / "files" / "md5" / version[:2] / version[2:]
    listing.chmod(0o644)
    listing.write_text("[]")
    assert len(faults(workspace)) == 2
    objects = [path for path in listing.parents[1].glob("*/*") if path.suffix != ".dir"]
    objects[0].chmod(0o644)
    objects[0].write_bytes(b"x")
    assert len(faults(workspace)) == 2
    assert len(faults(workspace, is_thorough=True)) == 3
    mend(examine(workspace, is_thorough=True))
    assert faults(workspace, is_thorough=True) == []
    toy.run_toy(workspace, keep_copies=True)
    shutil.rmtree(workspace.path("data/toy_texts/demo"))
    assert toy.run_toy(workspace, keep_copies=True)[0].actions["write_text"] == "restored"


def database(path, revision=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE runs (name TEXT)")
        connection.executemany("INSERT INTO runs VALUES (?)", [("x" * 500,)] * 200)
        connection.execute("CREATE INDEX names ON runs (name)")
        columns = "name, version, run_id, source, storage_location, current_stage"
        connection.execute(f"CREATE TABLE model_versions ({columns})")
        if revision:
            connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
            connection.execute("INSERT INTO alembic_version VALUES (?)", [revision])


@pytest.mark.parametrize("damage", ["header", "page"])
def test_a_damaged_database_is_moved_away(workspace, damage):
    for path in (workspace.private / "prefect" / "prefect.db", workspace.root / "mlflow.db"):
        database(path)
        assert faults(workspace) == []
        content = bytearray(path.read_bytes())
        start = 0 if damage == "header" else 3 * 4096
        content[start : start + 64] = b"\xff" * 64
        path.write_bytes(content)
        (found,) = faults(workspace)
        assert "database is damaged: " in found
        assert len(found.splitlines()) == 1
        mend(examine(workspace))
        assert faults(workspace) == []
        assert list(workspace.private.glob(f"aside/{path.name}.*/{path.name}"))


@pytest.mark.parametrize("library", ["mlflow", "prefect"])
def test_databases_of_other_versions_are_told(workspace, library):
    known, heads = databases.revisions(library)
    assert len(heads) == 1
    assert len(known) > 30
    path = (
        workspace.private / "prefect" / "prefect.db" if library == "prefect" else workspace.root / "mlflow.db"
    )
    (head,) = heads
    database(path, head)
    assert faults(workspace) == []
    path.unlink()
    database(path, "ffffffffffff")
    (found,) = examine(workspace)
    assert "newer version" in found.what
    assert found.mend is None
    path.unlink()
    database(path, min(known - heads))
    older = faults(workspace)
    assert older == (["MLflow's database was written by an older version"] if library == "mlflow" else [])


def test_a_database_that_is_being_written_to_is_no_fault(workspace, monkeypatch):
    monkeypatch.setattr(databases, "PATIENCE_SECONDS", 0.05)
    path = workspace.root / "mlflow.db"
    database(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("DELETE FROM runs")
        assert faults(workspace) == []


def test_a_note_of_a_server_that_is_gone_is_forgotten(workspace):
    note = workspace.private / "prefect" / "server.json"
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"url": "http://127.0.0.1:9/api", "pid": int(DEAD), "started": "1"}))
    assert faults(workspace) == [".lm/prefect/server.json names a Prefect server that is gone"]
    mend(examine(workspace))
    assert examine(workspace) == []


def test_a_full_disk_and_wrong_versions_are_told_with_the_cure(workspace, monkeypatch):
    monkeypatch.setattr(machine, "LEAST_FREE", 1e9)
    full = SimpleNamespace(free=3e8)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: full)
    wanted = ["fastapi>=0.1,<0.2", "pydantic>=2", "nosuchthing>=1", "other; extra == 'bench'"]
    monkeypatch.setattr(machine, "_requirements", lambda: wanted)
    disk, fastapi, missing = examine(workspace)
    assert disk.what == "the disk is nearly full: 300 MB are free"
    assert fastapi.what.startswith("fastapi 0.")
    assert fastapi.cure == "pip install 'fastapi<0.2,>=0.1'"
    assert missing.what == "nosuchthing is not installed"


def test_the_versions_installed_here_are_those_that_the_project_asks_for(workspace, monkeypatch):
    monkeypatch.undo()
    assert list(machine.libraries(workspace, False)) == []


def test_a_damaged_map_of_accepted_code_is_told(workspace):
    (workspace.root / "accepted.yaml").write_text("fit: [")
    (found,) = examine(workspace)
    assert found.what.startswith("accepted.yaml is not YAML")
    assert "git" in found.cure


def test_what_cannot_be_mended_is_told_and_the_rest_is_mended(workspace, toy, monkeypatch):
    toy.run_toy(workspace)
    (workspace.path("data/toy_texts/demo") / "text.txt").write_text("x")
    (workspace.private / "mlflow-0123.db").touch()
    monkeypatch.setattr(Store, "set_aside", lambda *_: 1 / 0)
    done = mend(examine(workspace))
    assert sorted(bool(each.error) for each in done) == [False, True]
    assert len(faults(workspace)) == 1


def test_nothing_heavy_is_imported_to_look(workspace):
    script = (
        "import sys; from pathlib import Path\n"
        "from tasks.engine.doctor import examine; from tasks.engine.workspace import Workspace\n"
        "examine(Workspace(Path(sys.argv[1])))\n"
        "print([name for name in ('torch', 'mlflow', 'prefect', 'dvc', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(workspace.root)],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"
