"""DVC's remotes: a folder, and S3 as a server on this machine speaks it."""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.versioning import has, init, remote, restore, take
from tasks.versioning.remote import Remote, RemoteError, open_remote

FILES = {"manifest.json": b"{}\n", "weights/a.bin": bytes(range(256)) * 40, "empty": b""}


def configure(workspace: Path, url: str, **more: str) -> Remote:
    init(workspace)
    lines = ["[core]", "    remote = store", "['remote \"store\"']", f"    url = {url}"]
    lines += [f"    {name} = {value}" for name, value in more.items()]
    (workspace / ".dvc" / "config.local").write_text("\n".join(lines) + "\n")
    remote._known.clear()  # as in a new process
    opened = open_remote(workspace)
    assert opened
    return opened


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Path], Remote]:
    """Configure the same remote for a workspace."""
    if request.param == "folder":
        return lambda workspace: configure(workspace, str(tmp_path / "remote"))
    url, keys = request.getfixturevalue("s3"), {"access_key_id": "a", "secret_access_key": "b"}
    return lambda workspace: configure(workspace, f"s3://shelf/{tmp_path.name}", endpointurl=url, **keys)


@pytest.fixture
def product(tmp_path: Path) -> Path:
    folder = tmp_path / "here" / "data" / "shards" / "tales"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    found = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}


def test_what_is_pushed_comes_back_elsewhere_and_only_what_lacks_is_pushed_again(tmp_path, store, product):
    here = store(tmp_path / "here")
    version = take(tmp_path / "here", product)
    assert not here.holds(version)
    assert here.push(version)
    assert here.holds(version)
    assert not here.push(version)
    store(tmp_path / "there")
    restore(tmp_path / "there", version, tmp_path / "there" / "back")
    assert files(tmp_path / "there" / "back") == FILES
    assert has(tmp_path / "there", version)


def test_half_an_object_that_a_killed_push_has_left_is_written_anew(tmp_path, store, product):
    here = store(tmp_path / "here")
    version = take(tmp_path / "here", product)
    here.push(version)
    digest = version[:2] + "/" + version[2:]
    if here.folder:
        half = here.folder / "files/md5" / digest
        half.chmod(0o644)
        half.write_bytes(b"[{")
    else:
        there, root = here._opened
        there.fs.pipe_file(f"{root}/files/md5/{digest}", b"[{")
    assert here.push(version)
    store(tmp_path / "there")
    restore(tmp_path / "there", version, tmp_path / "there" / "back")
    assert files(tmp_path / "there" / "back") == FILES


def test_a_note_is_read_as_it_was_written_last_and_none_is_none(tmp_path, store):
    here = store(tmp_path / "here")
    assert here.read("a/b.json") is None
    here.write("a/b.json", b"1")
    here.write("a/b.json", b"\x00 \xff")
    assert store(tmp_path / "there").read("a/b.json") == b"\x00 \xff"


def test_dvc_itself_pulls_what_was_pushed(tmp_path, store, product):
    import subprocess
    import sys

    here = store(tmp_path / "here")
    version = take(tmp_path / "here", product)
    here.push(version)
    shutil.rmtree(tmp_path / "here" / ".dvc" / "cache")
    shutil.rmtree(product)
    pointer = f"outs:\n- md5: {version}\n  hash: md5\n  path: data/shards/tales\n"
    (tmp_path / "here" / "tales.dvc").write_text(pointer)
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "pull", "--quiet"],
        cwd=tmp_path / "here", env=os.environ | {"DVC_NO_ANALYTICS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert files(product) == FILES


def test_a_missing_bucket_is_one_line_and_is_not_made(tmp_path, s3, product):
    here = configure(
        tmp_path / "here", "s3://nowhere/x", endpointurl=s3, access_key_id="a", secret_access_key="b"
    )
    with pytest.raises(RemoteError, match=r"^remote 'store' \(s3://nowhere/x\) does not answer: .*bucket"):
        here.write("a.json", b"1")
    assert here.read("a.json") is None


def test_refused_credentials_are_one_line_that_says_where_to_set_them(tmp_path, s3):
    here = configure(tmp_path / "here", "s3://shelf/x", endpointurl=s3)
    with pytest.raises(RemoteError, match=r"refuses the credentials .* see `dvc remote modify --local`$"):
        here.read("a.json")


def test_a_remote_that_never_answers_is_given_up_after_a_while(tmp_path, s3, monkeypatch):
    monkeypatch.setattr(remote, "PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        keys = {"access_key_id": "a", "secret_access_key": "b"}
        here = configure(tmp_path / "here", "s3://shelf/x", endpointurl=url, **keys)
        with pytest.raises(RemoteError, match=r"does not answer: no answer in"):
            here.read("a.json")


def test_a_remote_of_a_kind_that_is_not_installed_says_what_to_install(tmp_path):
    here = configure(tmp_path / "here", "gs://shelf/x")
    with pytest.raises(RemoteError, match="needs a part of DVC that is not installed: pip install dvc-gs"):
        here.read("a.json")


def test_a_folder_on_a_disk_that_is_not_mounted_is_not_made(tmp_path):
    here = configure(tmp_path / "here", str(tmp_path / "disk" / "remote"))
    with pytest.raises(RemoteError, match=r"there is no .*disk; mount it, or make the folder"):
        here.write("a.json", b"1")
    assert not (tmp_path / "disk").exists()


def test_a_remote_without_a_url_says_how_to_set_one(tmp_path):
    init(tmp_path)
    (tmp_path / ".dvc" / "config.local").write_text("[core]\n    remote = store\n")
    with pytest.raises(RemoteError, match="dvc remote add --default store URL"):
        open_remote(tmp_path)
    (tmp_path / ".dvc" / "config.local").write_text("")
    assert open_remote(tmp_path) is None


def test_a_path_in_the_configuration_counts_from_its_folder(tmp_path):
    assert configure(tmp_path, "../../remote").folder == tmp_path.parent / "remote"
