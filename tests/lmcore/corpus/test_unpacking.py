"""Packed files are read like plain ones, and what stands before damage is not lost."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.corpus.inputs import InputFile, UnreadableFileError
from lmcore.corpus.readers import readers
from lmcore.corpus.unpacking import open_unpacked, packing_of, stem_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd.compress
}  # fmt: skip
on_files = settings(max_examples=15)


@pytest.mark.parametrize("suffix", PACKERS)
@given(streams=st.lists(st.binary(max_size=300), min_size=1, max_size=3), times=st.integers(1, 5_000))
@on_files
def test_what_a_library_packed_comes_back_also_from_several_streams(
    tmp_path: Path, suffix: str, streams: list[bytes], times: int
):
    file = tmp_path / f"text{suffix}"
    file.write_bytes(b"".join(PACKERS[suffix](content * times) for content in streams))
    with open_unpacked(file) as stream:
        assert stream.read() == b"".join(content * times for content in streams)


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_packing_is_seen_from_the_bytes_whatever_the_name(tmp_path: Path, suffix: str):
    file = tmp_path / "text.txt"
    file.write_bytes(PACKERS[suffix](b"some words"))
    assert packing_of(file) == suffix
    assert InputFile(file).read() == b"some words"


def test_a_name_that_claims_a_packing_which_is_not_there_is_damage(tmp_path: Path):
    file = tmp_path / "text.gz"
    file.write_bytes(b"some words")
    with pytest.raises(UnreadableFileError, match="damaged archive"):
        InputFile(file).read()


@pytest.mark.parametrize("suffix", PACKERS)
def test_whole_lines_before_a_truncation_are_read_and_the_offset_is_told(tmp_path: Path, suffix: str):
    lines = b"".join(b'{"text": "%06d"}\n' % (number * 7919 % 999_983) for number in range(100_000))
    packed = PACKERS[suffix](lines)
    file = tmp_path / f"rows.jsonl{suffix}"
    file.write_bytes(packed[: len(packed) * 2 // 3])
    read = []
    with pytest.raises(UnreadableFileError) as error:
        read.extend(readers["jsonl"](InputFile(file)))
    assert error.value.rule == "damaged_archive"
    assert len(read) > 10
    assert [draft.text for draft in read] == [f"{number * 7919 % 999_983:06}" for number in range(len(read))]
    assert error.value.offset == 19 * len(read)


def test_padding_behind_gzip_is_passed_over_and_other_bytes_are_damage(tmp_path: Path):
    file = tmp_path / "text.gz"
    file.write_bytes(gzip.compress(b"words") + bytes(512))
    assert InputFile(file).read() == b"words"
    file.write_bytes(gzip.compress(b"words") + b"more")
    with pytest.raises(UnreadableFileError, match="other bytes follow its end"):
        InputFile(file).read()


def test_a_file_that_unpacks_to_gigabytes_is_given_up_at_the_limit(tmp_path: Path):
    file = tmp_path / "text.gz"
    file.write_bytes(gzip.compress(bytes(50_000_000)))
    with pytest.raises(UnreadableFileError, match="longer than 1,000 bytes") as error:
        InputFile(file, longest=1_000).read()
    assert error.value.rule == "too_long"


@pytest.mark.parametrize(
    ("name", "stem"),
    [("a.txt", "a"), ("a.b.jsonl.zst", "a.b"), ("a.gz", "a"), ("a", "a"), (".txt", ".txt")],
)
def test_a_stem_is_the_name_without_format_and_packing(name: str, stem: str):
    assert stem_of(Path(name)) == stem
