"""Whole or not: by what is known of a file while its stat stays, else by every byte."""

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from tasks.engine import proof
from tasks.engine.proof import digests_of, prove
from tasks.engine.store import Store


@pytest.fixture
def product(workspace) -> Path:
    return make(workspace, "data/things/demo", {"a.txt": "aaa", "more/b.txt": "bbb", "log/c.txt": "ccc"})


def make(workspace, address: str, files: dict[str, str]) -> Path:
    scratch = workspace.private / "scratch" / "x"
    for name, text in files.items():
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).write_text(text)
    store = Store(workspace)
    store.seal(
        scratch, step="make", name="demo", key="k" * 64, key_document={}, inputs={}, facts={}, environment={},
        provenance={"finished": "today"},
    )  # fmt: skip
    store.place(scratch, address, set_aside=False)
    return workspace.path(address)


def test_a_whole_product_is_proved_and_a_missing_one_is_no_fault(workspace, product):
    assert prove(workspace, "data/things/demo").manifest
    assert prove(workspace, "data/things/other") == proof.Proof(None, None)


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (lambda folder: (folder / "a.txt").write_text("aab"), "data/things/demo/a.txt was changed"),
        (
            lambda folder: (folder / "more" / "b.txt").write_text("c"),
            "data/things/demo/more/b.txt was changed",
        ),
        (lambda folder: (folder / "a.txt").unlink(), "data/things/demo/a.txt is missing"),
        (lambda folder: (folder / "c").touch(), "data/things/demo/c does not belong there"),
        (lambda folder: (folder / "manifest.json").unlink(), "data/things/demo has no manifest"),
        (
            lambda folder: (folder / "manifest.json").write_text("{}"),
            "data/things/demo/manifest.json was changed",
        ),
    ],
)
def test_a_fault_names_the_file(workspace, product, harm, fault):
    prove(workspace, "data/things/demo")
    harm(product)
    assert prove(workspace, "data/things/demo").fault == fault


@pytest.mark.parametrize(
    "loss",
    [
        lambda folder: (folder / "provenance.json").unlink(),
        lambda folder: (folder / "provenance.json").write_bytes(b"\xff"),
        lambda folder: (folder / "log" / "c.txt").write_text("d"),
        lambda folder: shutil.rmtree(folder / "log"),
    ],
)
def test_what_the_clock_wrote_may_be_lost_without_damage(workspace, product, loss):
    loss(product)
    assert prove(workspace, "data/things/demo").manifest


def test_what_is_no_folder_is_a_fault_not_a_gap(workspace):
    workspace.path("data/things").mkdir(parents=True)
    workspace.path("data/things/demo").write_text("x")
    assert prove(workspace, "data/things/demo").fault
    workspace.path("data/things/demo").unlink()
    workspace.path("data/things/demo").symlink_to("nowhere")
    assert prove(workspace, "data/things/demo").fault


def test_an_unchanged_stat_spares_the_hashing_and_a_full_proof_does_not(workspace, product, monkeypatch):
    time.sleep(0.06)
    prove(workspace, "data/things/demo")
    hashed = []
    real = proof.file_digest
    monkeypatch.setattr(proof, "file_digest", lambda path: hashed.append(path.name) or real(path))
    prove(workspace, "data/things/demo")
    assert hashed == []
    prove(workspace, "data/things/demo", in_full=True)
    assert sorted(hashed) == ["a.txt", "b.txt"]


def test_the_stat_of_a_file_that_was_just_written_proves_nothing(workspace, tmp_path):
    """Within one tick of the kernel's clock a second change leaves the same times."""
    file = tmp_path / "x"
    for text in ("aaa", "bbb", "ccc"):
        file.write_text(text)
        assert digests_of(workspace, tmp_path, ["x"])["x"] == proof.file_digest(file)
        assert not list(workspace.private.glob("proofs/*"))
    time.sleep(0.06)
    digests_of(workspace, tmp_path, ["x"])
    assert list(workspace.private.glob("proofs/*"))


@pytest.mark.parametrize("content", ["", "[]", '{"a.txt": 3}', '{"a.txt": [[1], "x", 2]}', "null"])
def test_a_damaged_memory_of_proofs_is_of_no_consequence(workspace, product, content):
    time.sleep(0.06)
    prove(workspace, "data/things/demo")
    (memory,) = (workspace.private / "proofs").iterdir()
    memory.write_text(content)
    assert prove(workspace, "data/things/demo").manifest


def test_a_wrong_digest_in_memory_does_not_condemn_a_whole_product(workspace, product):
    time.sleep(0.06)
    prove(workspace, "data/things/demo")
    (memory,) = (workspace.private / "proofs").iterdir()
    text = memory.read_text()
    digest = prove(workspace, "data/things/demo").manifest.files["a.txt"].sha256
    memory.write_text(text.replace(digest, digest[::-1]))
    assert prove(workspace, "data/things/demo").manifest


def test_a_product_that_is_replaced_meanwhile_never_breaks_a_look(workspace, product):
    ended = threading.Event()
    faults: list[BaseException] = []

    def look() -> None:
        try:
            while not ended.is_set():
                prove(workspace, "data/things/demo")
        except BaseException as error:
            faults.append(error)

    looker = threading.Thread(target=look)
    looker.start()
    for number in range(30):
        make(workspace, "data/things/demo", {f"file-{number}-{each}.txt": "x" for each in range(3)})
    ended.set()
    looker.join()
    assert faults == []
    assert prove(workspace, "data/things/demo").manifest


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_a_fault(workspace, product):
    (product / "a.txt").chmod(0)
    assert "cannot be read" in str(prove(workspace, "data/things/demo", in_full=True).fault)


def test_a_copied_product_proves_in_another_workspace(workspace, product, tmp_path):
    other = type(workspace)(tmp_path / "other")
    shutil.copytree(workspace.root, other.root)
    shutil.rmtree(other.private)
    assert prove(other, "data/things/demo").manifest
