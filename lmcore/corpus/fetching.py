"""Texts that lie elsewhere: files at an address (`s3://...`, any of fsspec), or a data set of Hugging Face.

They are brought into a folder once, and from then on are files like any others. Credentials come from where
the library of the store looks for them (environment, configuration), never from a source's description.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from lmcore.config import SettingsError
from lmcore.corpus.settings import DatasetChoice, Source

INDEX = ".fetched.json"
MARKS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "mtime", "created")
"""What stores call the mark by which a changed file is told, most telling first."""


def home_of(source: Source, fetched: Path) -> Path:
    """Where below `fetched` the files of a source lie that is fetched."""
    return fetched / sha256(str(source.path or source.dataset).encode()).hexdigest()[:16]


def fetch(source: Source, home: Path, is_wanted: Callable[[str], bool]) -> None:
    """Bring the files of a source into its folder: those that are new or changed, no others; gone ones go.

    Args:
        is_wanted: tells of a name, relative to the address, whether it is to be fetched.

    Raises:
        SettingsError: the address cannot be reached, or the library that reaches it is not installed.
    """
    home.mkdir(parents=True, exist_ok=True)
    if source.dataset:
        _fetch_dataset(source.dataset, home)
    elif source.path:
        _fetch_files(source.path, home, is_wanted)


def _fetch_files(address: str, home: Path, is_wanted: Callable[[str], bool]) -> None:
    import fsspec

    try:
        store, start = fsspec.core.url_to_fs(address)
        store.invalidate_cache()  # a process that goes on for days asks again
        listed = dict(_listed(store, start))
        if not listed:  # some stores tell of no network in this way; what is here already stays
            raise FileNotFoundError("there is no file")
        known = _read_index(home)
        for name, info in listed.items():
            if not is_wanted(name):
                continue
            mark = _mark(info)
            if known.get(name) != mark or not (home / name).is_file():
                _get(store, info["name"], home / name)
                known[name] = mark
                _write_index(home, known)
    except ImportError as error:
        cure = '; pip install "lmworks[s3]"' if address.startswith("s3:") else ""
        raise SettingsError(f"{address}: {str(error).splitlines()[0]}{cure}") from None
    except Exception as error:  # each store has exceptions of its own
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise SettingsError(
            f"{address}: cannot be fetched ({what}); check address, network and access"
        ) from None
    for name in set(known) - set(listed):
        (home / name).unlink(missing_ok=True)
        known.pop(name)
    _write_index(home, known)


def _listed(store: Any, start: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Names relative to the address, or its last part where that is a file; hidden ones are left out."""
    start = start.rstrip("/")
    for path, info in sorted(store.find(start, detail=True).items()):
        name = path.removeprefix(start).lstrip("/") or PurePosixPath(path).name
        parts = PurePosixPath(name).parts
        if not any(part.startswith(".") for part in parts):
            yield name, info


def _mark(info: Mapping[str, Any]) -> str:
    told = next((str(info[name]) for name in MARKS if info.get(name)), "")
    return f"{info.get('size')} {told}"


def _get(store: Any, path: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{uuid.uuid4().hex}.{os.getpid()}")
    try:
        store.get_file(path, str(scratch))
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def _fetch_dataset(choice: DatasetChoice, home: Path) -> None:
    """The split as one Parquet file; fetched once, for what a name stands for may change."""
    from tempfile import TemporaryDirectory

    target = home / f"{choice.split}.parquet"
    if target.exists():
        return
    import datasets

    try:
        with TemporaryDirectory(dir=home, prefix=".") as cache:
            name = os.path.expanduser(choice.name)
            rows = datasets.load_dataset(
                name, choice.config, split=choice.split, revision=choice.revision, cache_dir=cache
            )
            scratch = Path(cache) / "split.parquet"
            rows.to_parquet(str(scratch))
            scratch.replace(target)
    except Exception as error:  # network, names, formats: `datasets` raises dozens of classes
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise SettingsError(
            f"data set '{choice.name}': cannot be loaded ({what}); it needs a network "
            "(HF_HUB_OFFLINE=0 lm ...), and name, config and split as on its page"
        ) from None


def _read_index(home: Path) -> dict[str, str]:
    try:
        return dict(json.loads((home / INDEX).read_text()))
    except (OSError, ValueError):
        return {}


def _write_index(home: Path, known: Mapping[str, str]) -> None:
    scratch = home / f"{INDEX}.{os.getpid()}"
    scratch.write_text(json.dumps(known, indent=0, sort_keys=True))
    scratch.replace(home / INDEX)
