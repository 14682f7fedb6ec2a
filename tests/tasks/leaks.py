"""Everything in a workspace that says a sentence, searched for without any of the code that removes it."""

import gzip
import html
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from tokenizers import Tokenizer

SILENT = (".safetensors", ".bin", ".npy", ".pyc")


def leaks(workspace: Path, sentence: str, scratch: Path) -> list[str]:
    """Files whose bytes, unpacked, say it; and shards that do when their tokens are decoded."""
    wanted = _plain(sentence)
    plain = (path for path in sorted(workspace.rglob("*")) if path.is_file() and not path.is_symlink())
    found = [path for path in plain if path.suffix not in SILENT and wanted in _plain(_said(path))]
    folders = [index.parent for index in workspace.rglob("index.json")]
    tokenizers = [*workspace.rglob("tokenizer.json")]
    for version in _cached(workspace, scratch):
        folders += [index.parent for index in version.rglob("index.json")]
        tokenizers += version.rglob("tokenizer.json")
    for folder in folders:
        dtype = json.loads((folder / "index.json").read_text())["dtype"]
        streams = {path: np.fromfile(path, dtype).tolist() for path in folder.glob("*.bin")}
        for tokenizer in map(Tokenizer.from_file, map(str, tokenizers)):
            found += [path for path, ids in streams.items() if wanted in _plain(tokenizer.decode(ids))]
    shutil.rmtree(scratch, ignore_errors=True)
    return sorted({path.as_posix() for path in found})


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z]+", text.lower()))


def _said(path: Path) -> str:
    content = path.read_bytes()
    if content[:4] == b"PAR1":
        columns = pq.read_table(path).columns
        return " ".join(str(value) for column in columns for value in column.to_pylist())
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    text = content.decode(errors="replace")
    return f"{text} {html.unescape(text)} " + text.replace("\\n", " ")


def _cached(workspace: Path, scratch: Path) -> Iterator[Path]:
    """Each version in DVC's cache, as far as it is there, as a folder."""
    cache = workspace / ".dvc" / "cache" / "files" / "md5"
    for listing in cache.glob("*/*.dir"):
        folder = scratch / listing.name
        for row in json.loads(listing.read_text()):
            kept, target = cache / row["md5"][:2] / row["md5"][2:], folder / row["relpath"]
            target.parent.mkdir(parents=True, exist_ok=True)
            if kept.exists():
                shutil.copyfile(kept, target)
        yield folder
