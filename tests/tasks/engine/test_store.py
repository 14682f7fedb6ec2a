"""Into place in one rename, out of the way when damaged, remembered either way."""

import shutil
from pathlib import Path

import pytest

from lmcore.lineage import read_manifest
from tasks.engine import store as store_module
from tasks.engine.key import Address
from tasks.engine.store import Copies, Store

ADDRESS = Address("k" * 64, {}, "data/things/demo")
KNOWN = {
    "step": "make", "name": "demo", "key_document": {}, "inputs": {}, "facts": {}, "environment": {},
    "provenance": {"seconds": 1.0},
}  # fmt: skip


@pytest.fixture
def store(workspace) -> Store:
    return Store(workspace)


def build(store: Store, text: str, key: str = "k" * 64) -> Path:
    scratch = store.scratch("make", ADDRESS, keep=False)
    (scratch / "a.txt").write_text(text)
    store.seal(scratch, key=key, **KNOWN)
    return scratch


def test_a_product_moves_into_place_and_leaves_no_scratch(store):
    scratch = build(store, "one")
    assert store.place(scratch, ADDRESS.path, set_aside=False) is None
    assert store.find(ADDRESS).manifest == read_manifest(store.workspace.path(ADDRESS.path))
    assert not scratch.exists()


@pytest.mark.parametrize("has_exchange", [True, False])
def test_the_old_product_is_kept_aside_when_asked_and_gone_when_not(store, monkeypatch, has_exchange):
    if not has_exchange:
        monkeypatch.setattr(store_module.ctypes, "CDLL", lambda *_, **__: object())
    store.place(build(store, "one"), ADDRESS.path, set_aside=False)
    aside = store.place(build(store, "two"), ADDRESS.path, set_aside=True)
    assert aside
    assert (aside / "a.txt").read_text() == "one"
    assert store.place(build(store, "three"), ADDRESS.path, set_aside=False) is None
    target = store.workspace.path(ADDRESS.path)
    assert (target / "a.txt").read_text() == "three"
    assert [path.name for path in target.parent.iterdir()] == ["demo"]
    assert not list((store.private / "scratch").iterdir())


def test_products_may_lie_on_another_file_system(store, tmp_path):
    """`data/` as a link to a bigger disk: no rename leads there."""
    big = Path("/dev/shm")
    if not big.is_dir() or big.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    big = big / tmp_path.name / str(id(store))
    big.mkdir(parents=True)
    try:
        store.workspace.path("data/things").symlink_to(big)
        for text in ("one", "two"):
            aside = store.place(build(store, text), ADDRESS.path, set_aside=True)
            assert store.find(ADDRESS).manifest
        assert aside
        assert (aside / "a.txt").read_text() == "one"
        assert [path.name for path in big.iterdir()] == ["demo"]
    finally:
        shutil.rmtree(big.parent)


def test_another_key_at_a_fixed_path_is_a_miss_without_fault(store):
    store.place(build(store, "one", key="x" * 64), ADDRESS.path, set_aside=False)
    found = store.find(ADDRESS)
    assert (found.manifest, found.fault) == (None, None)


def test_two_addresses_with_one_key_have_a_scratch_each(store):
    other = Address(ADDRESS.key, {}, "data/things/other")
    assert store.scratch("make", ADDRESS, keep=False) != store.scratch("make", other, keep=False)


def test_scratch_is_emptied_unless_unfinished_work_is_to_be_kept(store):
    scratch = store.scratch("make", ADDRESS, keep=True)
    (scratch / "half.txt").touch()
    assert list(store.scratch("make", ADDRESS, keep=True).iterdir())
    assert not list(store.scratch("make", ADDRESS, keep=False).iterdir())


def test_only_plain_files_are_sealed(store):
    scratch = store.scratch("make", ADDRESS, keep=False)
    (scratch / "dangling").symlink_to("nowhere")
    with pytest.raises(ValueError, match="dangling is no plain file"):
        store.seal(scratch, key="k", **KNOWN)


def test_what_the_clock_wrote_is_no_part_of_the_product(store):
    written = set()
    for text in ("1", "2"):
        scratch = store.scratch("make", ADDRESS, keep=False)
        (scratch / "log").mkdir()
        (scratch / "log" / "time.txt").write_text(text)
        (scratch / "a.txt").touch()
        manifest = store.seal(scratch, key="k", **{**KNOWN, "provenance": {"seconds": text}})
        assert set(manifest.files) == {"a.txt"}
        assert read_manifest(scratch).provenance == {"seconds": text}
        written.add((scratch / "manifest.json").read_bytes())
    assert len(written) == 1


def test_provenance_that_a_product_has_lost_is_remembered(store):
    store.place(build(store, "one"), ADDRESS.path, set_aside=False)
    made = store.find(ADDRESS).manifest
    store.remember(made)
    folder = store.workspace.path(ADDRESS.path)
    (folder / "provenance.json").unlink()
    assert read_manifest(folder).provenance == {}
    assert store.find(ADDRESS).manifest == store.read(folder) == made
    store.remember(read_manifest(folder))
    assert store.remembered(made.key) == made
    for file in (store.private / "manifests").iterdir():
        file.unlink()
    assert store.find(ADDRESS).manifest.provenance == {}


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"[]", b"{}", b'{"digest": 1, "other": 2}', b"\0"])
def test_damaged_notes_are_forgotten_notes(store, damage):
    manifest = store.seal(build(store, "one"), key="k" * 64, **KNOWN)
    store.remember(manifest)
    store.use("make", "demo", manifest.key)
    store.remember_copy(manifest.key, Copies("d", dvc="x.dir"))
    assert store.last("make", "demo") == manifest
    assert list(store.made_by("make")) == [manifest]
    for folder in ("manifests", "last", "copies"):
        for file in (store.private / folder).iterdir():
            file.write_bytes(damage)
    assert store.last("make", "demo") is None
    assert list(store.made_by("make")) == []
    assert store.copies(manifest.key) is None
    assert store.remembered(manifest.key) is None
    store.remember(manifest)
    store.use("make", "demo", manifest.key)
    assert store.last("make", "demo") == manifest


def test_a_link_leads_from_an_experiment_to_its_product(store):
    address = Address("a" * 64, {}, "models/make-aaaaaaaaaaaa")
    store.workspace.path(address.path).mkdir(parents=True)
    for target in (address, Address("b" * 64, {}, "models/make-bbbbbbbbbbbb"), address):
        store.link("make", "demo", target)
    link = store.workspace.path("models/demo/make")
    assert link.resolve() == store.workspace.path(address.path)
    assert not link.readlink().is_absolute()
    assert [path.name for path in link.parent.iterdir()] == ["make"]
