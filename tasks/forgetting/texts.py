"""What a file says, whatever its kind: text, JSON, pages, tables, packed or not."""

from __future__ import annotations

import gzip
import html
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WITHOUT_TEXT = (".safetensors", ".bin", ".npy", ".pt", ".png", ".pyc", ".so", ".lock", ".db-shm")
"""Weights, tokens, pictures. What tokens say is known from the table of documents beside them."""
BLOCK = 1 << 24
"""Bytes of a plain file that are looked at together."""
_TAG = re.compile(r"<[^<>]*>")


def texts_of(path: Path, name: str | None = None) -> Iterator[str]:
    """Each piece of text in a file; what does not read as its kind says is taken as plain bytes.

    Args:
        name: what the file was called, where it is kept under a digest.
    """
    kind = Path(name or path.name).suffix.lower()
    if kind in WITHOUT_TEXT:
        return
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PAR1":
        yield from _of_table(path)
    elif start[:2] == b"\x1f\x8b":
        yield from _of_packed(path, name or path.name)
    elif kind in (".html", ".htm"):
        yield from _of_page(path)
    elif kind in (".json", ".jsonl") or start[:1] in (b"{", b"["):
        yield from _of_json(path)
    else:
        yield from _of_bytes(path)


def _of_table(path: Path) -> Iterator[str]:
    """Every string in the columns of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=500):
                for row in batch.to_pylist():
                    yield from _strings(row)
    except pa.ArrowException:
        yield from _of_bytes(path)


def _of_packed(path: Path, name: str) -> Iterator[str]:
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error):
        return
    inner = Path(name).with_suffix("").suffix
    if inner in (".json", ".jsonl"):
        yield from _in_lines(content)
    else:
        yield content.decode(errors="replace")


def _of_page(path: Path) -> Iterator[str]:
    """What a reader of the page sees; what stands in tags as well, which may be a tooltip."""
    content = path.read_text(encoding="utf-8", errors="replace")
    yield html.unescape(_TAG.sub(" ", content))
    yield html.unescape(" ".join(_TAG.findall(content)))


def _of_json(path: Path) -> Iterator[str]:
    content = path.read_bytes()
    try:
        yield from _strings(json.loads(content))
    except (ValueError, RecursionError):
        yield from _in_lines(content)


def _in_lines(content: bytes) -> Iterator[str]:
    """Each line by itself: one may be torn, or no JSON."""
    for line in content.splitlines():
        try:
            yield from _strings(json.loads(line))
        except (ValueError, RecursionError):
            yield line.decode(errors="replace")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _of_bytes(path: Path) -> Iterator[str]:
    """In blocks that overlap by a little, so that no words are torn apart."""
    with path.open("rb") as file:
        tail = b""
        while block := file.read(BLOCK):
            yield (tail + block).decode(errors="replace")
            tail = block[-2_000:]
