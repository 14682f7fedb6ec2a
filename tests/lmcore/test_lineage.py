"""Digests and manifests: the same everywhere, and no byte of a manifest changes unseen."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
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
        "environment": {"torch": "2"}, "provenance": {"git": None},
    }  # fmt: skip
    return Manifest(**(known | changes))


def test_a_digest_is_that_of_the_canonical_text():
    assert canonical_json({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'
    assert digest_of({"b": 1, "a": 2}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()


def test_what_the_clock_wrote_is_no_part_of_the_content():
    files = {"a.txt": "1", "log/time.txt": "2"}
    assert (
        content_digest(files)
        == content_digest({"a.txt": "1", "log/time.txt": "3"})
        == content_digest({"a.txt": "1"})
    )
    assert content_digest(files) != content_digest({**files, "logs.txt": "2"})
    assert content_digest(files) != content_digest({"b.txt": "1", "log/time.txt": "2"})


def test_files_are_listed_sorted_and_without_the_manifest(tmp_path):
    for name in ("b.txt", "a/z.txt", "a.txt", "manifest.json", "a/manifest.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list_product(tmp_path) == ["a.txt", "a/manifest.json", "a/z.txt", "b.txt"]


def test_a_manifest_reads_back_as_it_was_written(tmp_path):
    manifest = make_manifest()
    write_manifest(manifest, tmp_path)
    assert read_manifest(tmp_path) == manifest
    first = (tmp_path / "manifest.json").read_bytes()
    write_manifest(read_manifest(tmp_path), tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() == first


def test_no_byte_of_a_manifest_changes_unseen(tmp_path):
    write_manifest(make_manifest(), tmp_path)
    file = tmp_path / "manifest.json"
    whole = file.read_bytes()
    for position in range(len(whole)):
        for mask in (1, 32, 128):
            file.write_bytes(whole[:position] + bytes([whole[position] ^ mask]) + whole[position + 1 :])
            with pytest.raises(Damaged):
                read_manifest(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
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


def test_a_resealed_manifest_with_unknown_fields_is_refused(tmp_path):
    write_manifest(make_manifest(), tmp_path)
    document = json.loads((tmp_path / "manifest.json").read_text())
    del document["seal"]
    document["serializer"] = "pickle"
    document["seal"] = digest_of(document)
    text = json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(Damaged, match="does not read as a manifest"):
        read_manifest(tmp_path)


def test_a_folder_without_a_manifest_is_told_from_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_manifest(tmp_path)
