"""Versions of products: DVC is the oracle for names and checkouts, flipped bytes are the faults."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.versioning import (
    DamagedVersionError,
    MissingVersionError,
    VersioningError,
    git_state,
    has,
    init,
    restore,
    take,
)

QUIET = {"DVC_NO_ANALYTICS": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
FILES = {
    "manifest.json": b"{}\n",
    "train-00000.bin": bytes(range(256)) * 40,
    "parts/timings.jsonl": b"1\n",
    "é b": b"",
}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


def run(workspace: Path, *command: str) -> str:
    """A command's output in the workspace; the test fails where it does."""
    environment = {**os.environ, **QUIET}
    done = subprocess.run(
        command, cwd=workspace, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def dvc(workspace: Path, *arguments: str) -> str:
    return run(workspace, sys.executable, "-m", "dvc", *arguments)


def git(workspace: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    return run(workspace, "git", *who, *arguments)


def cached(workspace: Path, content: bytes) -> Path:
    """Where the cache keeps these bytes."""
    found = [file for file in (workspace / ".dvc/cache").rglob("*") if file.is_file()]
    return next(file for file in found if file.read_bytes() == content)


def flip(file: Path) -> None:
    """Change a byte and keep size, times and permissions, as a failing disk does."""
    before = file.stat()
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    file.chmod(before.st_mode)


@pytest.fixture
def product(tmp_path: Path) -> Path:
    return write(tmp_path / "data/shards/tales", FILES)


def test_a_version_has_the_name_that_dvc_gives_it(tmp_path: Path, product: Path) -> None:
    version = take(tmp_path, product)
    dvc(tmp_path, "add", "--quiet", "--no-commit", str(product))
    assert f"md5: {version}" in (tmp_path / "data/shards/tales.dvc").read_text()


TIMES = {"provenance.json": b"{}", "log/timings.jsonl": b"1", "log/deep/er": b"2"}
LOOKS_LIKE_TIMES = {"parts/provenance.json": b"{}", "parts/log/a": b"3", "logs": b"4"}


def test_what_the_clock_wrote_is_no_part_of_a_version_and_never_comes_back(tmp_path: Path) -> None:
    plain = take(tmp_path, write(tmp_path / "data/shards/plain", FILES | LOOKS_LIKE_TIMES))
    timed = write(tmp_path / "data/shards/timed", FILES | LOOKS_LIKE_TIMES | TIMES)
    assert take(tmp_path, timed) == plain
    restore(tmp_path, plain, tmp_path / "back")
    assert read(tmp_path / "back") == FILES | LOOKS_LIKE_TIMES


@pytest.mark.parametrize("own", ["*.bin", "# mine\n/data/shards/*/parts\n!timings.jsonl\n"])
def test_a_version_leaves_out_just_what_dvc_would_ignore(tmp_path: Path, own: str) -> None:
    (tmp_path / ".dvcignore").write_text(own)
    write(tmp_path / "data", {".dvcignore": b"logs\n"})
    product = write(tmp_path / "data/shards/tales", FILES | TIMES | {"logs": b""})
    source = write(tmp_path / "data/sources/tales", FILES | TIMES)
    versions = {folder: take(tmp_path, folder) for folder in (product, source)}
    assert (tmp_path / ".dvcignore").read_text().startswith(own)
    dvc(tmp_path, "add", "--quiet", "--no-commit", *map(str, versions))
    for folder, version in versions.items():
        assert f"md5: {version}" in folder.with_name("tales.dvc").read_text()
    restore(tmp_path, versions[source], tmp_path / "back")
    assert TIMES.items() <= read(tmp_path / "back").items()  # a source's files are no times of ours


def test_dvc_checks_out_what_was_taken_here(tmp_path: Path, product: Path) -> None:
    version = take(tmp_path, product)
    shutil.rmtree(product)
    (tmp_path / "tales.dvc").write_text(f"outs:\n- md5: {version}\n  hash: md5\n  path: data/shards/tales\n")
    dvc(tmp_path, "checkout", "--quiet")
    assert read(product) == FILES
    assert "up to date" in dvc(tmp_path, "status")


@settings(max_examples=10)
@given(
    st.dictionaries(
        st.from_regex(r"([a-c]/){0,2}[d-f]\w{0,4}", fullmatch=True), st.binary(max_size=50), min_size=1
    )
)
def test_what_was_taken_comes_back_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    workspace = tmp_path_factory.mktemp("workspace")
    version = take(workspace, write(workspace / "product", files))
    restore(workspace, version, workspace / "back")
    assert read(workspace / "back") == files
    assert take(workspace, workspace / "back") == version


def test_a_restored_file_is_a_copy_that_may_be_written_to(tmp_path: Path, product: Path) -> None:
    version = take(tmp_path, product)
    restore(tmp_path, version, tmp_path / "back")
    restored = tmp_path / "back/train-00000.bin"
    assert restored.stat().st_nlink == 1
    assert os.access(restored, os.W_OK)
    restored.write_bytes(b"other")
    (product / "train-00000.bin").write_bytes(b"other")
    restore(tmp_path, version, tmp_path / "again")
    assert read(tmp_path / "again") == FILES


def test_a_damaged_cache_is_told_and_never_delivered(tmp_path: Path, product: Path) -> None:
    version = take(tmp_path, product)
    flip(cached(tmp_path, FILES["train-00000.bin"]))
    with pytest.raises(
        DamagedVersionError, match=r"train-00000\.bin of .* has other bytes than its md5 says"
    ):
        restore(tmp_path, version, tmp_path / "back")
    assert read(tmp_path / "back") == {}
    assert not has(tmp_path, version)
    assert len(list((tmp_path / ".dvc/tmp/damaged").iterdir())) == 1


def test_taking_again_mends_a_damaged_cache(tmp_path: Path, product: Path) -> None:
    version = take(tmp_path, product)
    flip(cached(tmp_path, FILES["train-00000.bin"]))
    assert take(tmp_path, product) == version
    restore(tmp_path, version, tmp_path / "back")
    assert read(tmp_path / "back") == FILES


def test_a_damaged_listing_is_told_and_mended(tmp_path: Path, product: Path) -> None:
    version = take(tmp_path, product)
    flip(next((tmp_path / ".dvc/cache").rglob("*.dir")))
    assert not has(tmp_path, version)
    with pytest.raises(DamagedVersionError, match="listing"):
        restore(tmp_path, version, tmp_path / "back")
    assert take(tmp_path, product) == version
    assert has(tmp_path, version)


def test_what_the_cache_lacks_or_holds_damaged_comes_from_the_remote(tmp_path: Path, product: Path) -> None:
    version = take(tmp_path, product)
    dvc(tmp_path, "remote", "add", "--default", "store", str(tmp_path / "remote"))
    shutil.copytree(tmp_path / ".dvc/cache/files", tmp_path / "remote/files")
    flip(cached(tmp_path, FILES["train-00000.bin"]))
    restore(tmp_path, version, tmp_path / "healed")
    assert read(tmp_path / "healed") == FILES
    shutil.rmtree(tmp_path / ".dvc/cache")
    restore(tmp_path, version, tmp_path / "fetched")
    assert read(tmp_path / "fetched") == FILES


def test_a_version_that_nobody_has_is_missing(tmp_path: Path, product: Path) -> None:
    version = take(tmp_path, product)
    cached(tmp_path, FILES["train-00000.bin"]).unlink()
    assert not has(tmp_path, version)
    with pytest.raises(MissingVersionError, match=r"lacks files .* dvc remote add"):
        restore(tmp_path, version, tmp_path / "back")
    with pytest.raises(MissingVersionError, match=r"no version 0{32}\.dir"):
        restore(tmp_path, "0" * 32 + ".dir", tmp_path / "back")
    dvc(tmp_path, "remote", "add", "--default", "store", str(tmp_path / "remote"))
    with pytest.raises(MissingVersionError, match="neither DVC's cache nor its remote 'store'"):
        restore(tmp_path, version, tmp_path / "back")


def test_a_listing_cannot_write_outside_of_its_folder(tmp_path: Path) -> None:
    import hashlib

    init(tmp_path)
    listing = json.dumps([{"md5": "0" * 32, "relpath": "../outside"}]).encode()
    digest = hashlib.md5(listing, usedforsecurity=False).hexdigest()
    write(tmp_path / ".dvc/cache/files/md5", {f"{digest[:2]}/{digest[2:]}.dir": listing})
    with pytest.raises(DamagedVersionError, match="outside of its folder"):
        restore(tmp_path, f"{digest}.dir", tmp_path / "back")


def test_only_whole_folders_of_plain_files_are_taken(tmp_path: Path, product: Path) -> None:
    with pytest.raises(VersioningError, match="no such folder"):
        take(tmp_path, tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VersioningError, match="holds no file"):
        take(tmp_path, tmp_path / "empty")
    (product / "link").symlink_to("manifest.json")
    with pytest.raises(VersioningError, match="not a plain file"):
        take(tmp_path, product)


def test_nothing_is_written_over_and_no_odd_name_is_looked_up(tmp_path: Path, product: Path) -> None:
    version = take(tmp_path, product)
    with pytest.raises(VersioningError, match="not empty"):
        restore(tmp_path, version, product)
    assert not has(tmp_path, "../../etc/passwd")
    assert not has(tmp_path / "elsewhere", version)


def test_threads_and_processes_may_take_at_once(tmp_path: Path) -> None:
    products = [write(tmp_path / f"product-{n}", {"same": b"same", "own": str(n).encode()}) for n in range(4)]
    script = "import sys, pathlib; from tasks.versioning import take; take(*map(pathlib.Path, sys.argv[1:]))"
    arguments = [sys.executable, "-W", "error", "-c", script, str(tmp_path)]
    others = [subprocess.Popen([*arguments, str(product)]) for product in products[:2]]
    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(lambda product: take(tmp_path, product), products))
    assert [other.wait() for other in others] == [0, 0]
    assert len(set(versions)) == 4
    assert all(has(tmp_path, version) for version in versions)


def test_init_makes_a_quiet_repository_and_stages_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "init", "--quiet")
    init(tmp_path)
    init(tmp_path)
    assert capfd.readouterr() == ("", "")
    assert git(tmp_path, "diff", "--cached", "--name-only") == ""
    configured = dvc(tmp_path, "config", "--list").split()
    assert {"core.analytics=false", "core.check_update=false", "cache.type=reflink,copy"} <= set(configured)
    assert "core.no_scm=True" not in configured


def test_a_cache_that_the_user_moved_is_used(tmp_path: Path, product: Path) -> None:
    init(tmp_path)
    dvc(tmp_path, "cache", "dir", str(tmp_path / "elsewhere"))
    version = take(tmp_path, product)
    assert has(tmp_path, version)
    assert (tmp_path / "elsewhere/files/md5").is_dir()
    assert not (tmp_path / ".dvc/cache").exists()


def test_the_state_of_git_is_its_commit_and_whether_files_differ(tmp_path: Path) -> None:
    assert git_state(tmp_path / "nowhere") is None
    git(tmp_path, "init", "--quiet")
    assert git_state(tmp_path) is None
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "--quiet", "--message", "a")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()
    assert git_state(tmp_path) == {"commit": commit, "dirty": False}
    (tmp_path / "releases").mkdir()
    for file in ("dvc.lock", "dvc.yaml", "releases/demo.jsonl"):  # a run writes these itself
        (tmp_path / file).write_text("1")
    assert git_state(tmp_path) == {"commit": commit, "dirty": False}
    (tmp_path / "b").write_text("1")
    assert git_state(tmp_path) == {"commit": commit, "dirty": True}


def test_looking_and_restoring_never_import_dvc(tmp_path: Path, product: Path) -> None:
    version = take(tmp_path, product)
    script = (
        "import sys, pathlib; from tasks.versioning import has, restore; w = pathlib.Path(sys.argv[1]);"
        "assert has(w, sys.argv[2]); restore(w, sys.argv[2], w / 'back');"
        "assert not {'dvc', 'dvc_data', 'dvc_objects'} & set(sys.modules)"
    )
    run(Path.cwd(), sys.executable, "-c", script, str(tmp_path), version)
    assert read(tmp_path / "back") == FILES
