"""Digests and manifests: the same everywhere, and no byte of a manifest changes unseen."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.lineage import (
    Damaged,
    FileEntry,
    Manifest,
    canonical_json,
    content_digest,
    digest_of,
    list_product,
    read_manifest,
    write_manifest,
)


def make_manifest(**changes) -> Manifest:
    known = {
        "step": "make", "name": "démo", "key": "k", "digest": "d",
        "key_document": {"settings": {"rate": 1e-3}},
        "files": {"a.txt": FileEntry(size=3, sha256="s")}, "inputs": {}, "facts": {"loss": 0.1, "n": 3},
        "environment": {"torch": "2"}, "provenance": {"git": None, "seconds": 0.5},
    }  # fmt: skip
    return Manifest(**(known | changes))


def test_a_digest_is_that_of_the_canonical_text():
    assert canonical_json({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'
    assert digest_of({"b": 1, "a": 2}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()


def test_a_content_digest_is_that_of_names_and_digests():
    assert content_digest({"b": "2", "a": "1"}) == hashlib.sha256(b'{"a":"1","b":"2"}').hexdigest()
    assert content_digest([("a", "1")]) == content_digest({"a": "1"}) != content_digest({"a": "2"})


def test_files_are_listed_sorted_without_the_manifest_and_what_the_clock_wrote(tmp_path):
    beside = ("manifest.json", "provenance.json", "log/time.txt", "log/deep/er.txt")
    within = ("a.txt", "a/manifest.json", "a/log/y.txt", "a/z.txt", "b.txt", "logs.txt")
    for name in (*beside, *within):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list_product(tmp_path) == sorted(within)


def test_a_manifest_reads_back_as_it_was_written(tmp_path):
    manifest = make_manifest()
    write_manifest(manifest, tmp_path)
    assert read_manifest(tmp_path) == manifest
    first = (tmp_path / "manifest.json").read_bytes()
    write_manifest(read_manifest(tmp_path), tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() == first


def test_times_leave_no_trace_in_a_manifest(tmp_path):
    write_manifest(make_manifest(provenance={"seconds": 1}), tmp_path)
    first = (tmp_path / "manifest.json").read_bytes()
    write_manifest(make_manifest(provenance={"seconds": 2}), tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() == first
    assert read_manifest(tmp_path).provenance == {"seconds": 2}
    write_manifest(make_manifest(provenance={}), tmp_path)
    assert not (tmp_path / "provenance.json").exists()
    assert read_manifest(tmp_path).provenance == {}


def test_no_byte_of_a_provenance_changes_unseen_and_none_is_damage(tmp_path):
    write_manifest(make_manifest(), tmp_path)
    file = tmp_path / "provenance.json"
    whole = file.read_bytes()
    for position in range(len(whole)):
        for mask in (1, 32, 128):
            file.write_bytes(whole[:position] + bytes([whole[position] ^ mask]) + whole[position + 1 :])
            assert read_manifest(tmp_path) == make_manifest(provenance={})
    for text in (b"", b"[]", b"3", b"[" * 100_000):
        file.write_bytes(text)
        assert read_manifest(tmp_path).provenance == {}


def test_another_products_provenance_is_not_believed(tmp_path):
    write_manifest(make_manifest(key="other"), tmp_path)
    foreign = (tmp_path / "provenance.json").read_bytes()
    write_manifest(make_manifest(), tmp_path)
    (tmp_path / "provenance.json").write_bytes(foreign)
    assert read_manifest(tmp_path).provenance == {}


def test_no_byte_of_a_manifest_changes_unseen(tmp_path):
    write_manifest(make_manifest(), tmp_path)
    file = tmp_path / "manifest.json"
    whole = file.read_bytes()
    for position in range(len(whole)):
        for mask in (1, 32, 128):
            file.write_bytes(whole[:position] + bytes([whole[position] ^ mask]) + whole[position + 1 :])
            with pytest.raises(Damaged):
                read_manifest(tmp_path)


@settings(max_examples=50)
@given(st.data())
def test_no_cut_or_addition_in_a_manifest_goes_unseen(tmp_path: Path, data):
    write_manifest(make_manifest(), tmp_path)
    whole = (tmp_path / "manifest.json").read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    changed = whole[:start] + data.draw(st.binary(max_size=4)) + whole[end:]
    (tmp_path / "manifest.json").write_bytes(changed)
    if changed != whole:
        with pytest.raises(Damaged):
            read_manifest(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "3", "{}", "[" * 100_000, '{"seal": NaN}', '{"seal": "\\ud800"}'])
def test_what_is_no_manifest_is_damaged(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(Damaged):
        read_manifest(tmp_path)


@pytest.mark.parametrize("unknown", ["serializer", "provenance"])
def test_a_resealed_manifest_with_unknown_fields_is_refused(tmp_path, unknown):
    write_manifest(make_manifest(), tmp_path)
    document = json.loads((tmp_path / "manifest.json").read_text())
    del document["seal"]
    document[unknown] = "pickle"
    document["seal"] = digest_of(document)
    text = json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(Damaged):
        read_manifest(tmp_path)


def test_a_folder_without_a_manifest_is_told_from_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_manifest(tmp_path)
