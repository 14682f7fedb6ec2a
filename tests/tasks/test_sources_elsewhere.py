"""Files at an address, of a package, or of a data set become a source like files in a folder."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import boto3
import pytest

from lmcore.config import SettingsError
from lmcore.corpus.settings import SourceChoice
from tasks.engine.workspace import MARKER, Workspace
from tasks.forgetting.ledger import Forgotten, Place, add_forgotten
from tasks.ingest import find_source


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / MARKER).touch()
    return Workspace(tmp_path / "ws")


def chosen(**given: Any) -> SourceChoice:
    return SourceChoice.model_validate({"name": "texts", "licence": "my own", **given})


@pytest.fixture
def bucket(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An S3 bucket that the usual environment leads to."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    store = boto3.resource("s3").create_bucket(Bucket=tmp_path.name.replace("_", "-")[:60])
    store.put_object(Key="pile/a.txt", Body=b"first words")
    store.put_object(Key="pile/deep/b.txt", Body=b"other words")
    store.put_object(Key="pile/c.bin", Body=b"\0")
    return store


def test_files_at_an_address_are_fetched_once_and_again_when_they_change(workspace: Workspace, bucket):
    choice = chosen(path=f"s3://{bucket.name}/pile", files=["**/*.txt"])
    _, files, root = find_source(workspace, choice)
    assert sorted(files.files) == ["a.txt", "deep/b.txt"]
    assert root.is_relative_to(workspace.private / "fetched")
    assert not (root / "c.bin").exists()
    before = (root / "a.txt").stat()
    bucket.put_object(Key="pile/deep/b.txt", Body=b"newer words")
    bucket.put_object(Key="pile/d.txt", Body=b"more")
    _, now, _ = find_source(workspace, choice)
    assert sorted(now.files) == ["a.txt", "d.txt", "deep/b.txt"]
    assert now.files["a.txt"] == files.files["a.txt"]
    assert now.files["deep/b.txt"] != files.files["deep/b.txt"]
    assert (root / "a.txt").stat() == before
    bucket.Object("pile/a.txt").delete()
    assert "a.txt" not in find_source(workspace, choice)[1].files
    assert not (root / "a.txt").exists()


def test_what_was_forgotten_is_not_fetched_again(workspace: Workspace, bucket):
    choice = chosen(path=f"s3://{bucket.name}/pile", files=["**/*.txt"])
    _, files, root = find_source(workspace, choice)
    place = Place("texts", "a.txt", workspace.address(root / "a.txt"))
    line = Forgotten(when="2026-01-01T00:00:00", who="me", places=(place,), sha256=(files.files["a.txt"],))
    add_forgotten(workspace, line)
    (root / "a.txt").unlink()
    assert list(find_source(workspace, choice)[1].files) == ["deep/b.txt"]
    assert not (root / "a.txt").exists()


def test_an_address_that_leads_nowhere_is_one_line(workspace: Workspace, bucket):
    for address, says in {
        f"s3://{bucket.name}/nothing": f"s3://{bucket.name}/nothing: .*there is no file",
        "s3://no-such-bucket-here/x": "cannot be fetched|no file",
        "nonsense://x": "nonsense",
    }.items():
        with pytest.raises(ValueError, match=says) as error:
            find_source(workspace, chosen(path=address))
        assert "\n" not in str(error.value)


def test_what_was_fetched_stays_where_the_store_tells_of_no_network_by_an_empty_list(workspace: Workspace):
    from fsspec.implementations.memory import MemoryFileSystem

    store, choice = MemoryFileSystem(), chosen(path="memory://pile")
    store.pipe("/pile/a.txt", b"first words")
    _, _, root = find_source(workspace, choice)
    store.rm("/pile", recursive=True)
    with pytest.raises(SettingsError, match=r"memory://pile: cannot be fetched \(there is no file\)"):
        find_source(workspace, choice)
    assert (root / "a.txt").read_text() == "first words"


def test_an_installed_package_is_a_source(workspace: Workspace):
    choice = chosen(package="hypothesis", files=["hypothesis/vendor/tlds-alpha-by-domain.txt"])
    source, files, _ = find_source(workspace, choice)
    assert list(files.files) == ["hypothesis/vendor/tlds-alpha-by-domain.txt"]
    assert source.origin == f"hypothesis {version('hypothesis')}"
    with pytest.raises(SettingsError, match="the package 'no-such-thing' is not installed; pip install"):
        find_source(workspace, chosen(package="no-such-thing"))


def test_a_data_set_becomes_parquet(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows = [{"body": f"text {number}"} for number in range(5)]
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    reader = {"type": "parquet", "text_field": "body"}
    choice = chosen(dataset={"name": str(tmp_path / "set")}, reader=reader)
    source, files, root = find_source(workspace, choice)
    assert list(files.files) == ["train.parquet"]
    from lmcore.corpus.document import Document, read
    from lmcore.corpus.ingest import read_source

    (tmp_path / "out").mkdir()
    read_source(source, "texts", [Path("train.parquet")], root, tmp_path / "out")
    assert [row.text for row in read(tmp_path / "out" / "documents.parquet", Document)] == [
        row["body"] for row in rows
    ]
    with pytest.raises(SettingsError, match=r"data set '.*missing': cannot be loaded .*HF_HUB_OFFLINE=0"):
        find_source(workspace, chosen(dataset={"name": str(tmp_path / "missing")}))


def test_a_source_lies_at_one_place():
    with pytest.raises(ValueError, match="it has path and package; a source lies at one place"):
        chosen(path="x", package="y")
