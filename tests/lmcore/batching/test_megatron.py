import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lmcore.batching import megatron
from lmcore.batching.settings import ShardsConfig
from lmcore.batching.token_shards import TokenShards, write_shards
from lmcore.tokenizers.texts import SIDES


@dataclass
class Indexed:
    """An indexed data set as Megatron-LM's description of the format has it."""

    dtype: type
    sequences: list[list[int]]
    documents: list[int]


def read(prefix: Path) -> Indexed:
    index, data = prefix.with_suffix(".idx").read_bytes(), prefix.with_suffix(".bin").read_bytes()
    place = 0

    def take(form: str, count: int = 1) -> tuple[int, ...]:
        nonlocal place
        values = struct.unpack_from(f"<{count}{form}", index, place)
        place += struct.calcsize(f"<{count}{form}")
        return values

    assert bytes(take("B", 9)) == b"MMIDIDX\x00\x00"
    assert take("Q") == (1,)
    dtype = {1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 8: np.uint16}[take("B")[0]]
    (num_sequences,) = take("Q")
    (num_documents,) = take("Q")
    lengths, begins = take("i", num_sequences), take("q", num_sequences)
    documents = list(take("q", num_documents))
    assert place == len(index)
    rows = zip(lengths, begins, strict=True)
    sequences = [np.frombuffer(data, dtype, length, begin).tolist() for length, begin in rows]
    assert sum(lengths) * np.dtype(dtype).itemsize == len(data)
    return Indexed(dtype, sequences, documents)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("dtype", "theirs"), [("uint16", np.uint16), ("uint32", np.int32)])
def test_every_document_is_a_sequence(small_corpus, small_tokenizer, tmp_path, side, dtype, theirs):
    shards = tmp_path / "shards"
    write_shards(small_corpus, small_tokenizer, shards, ShardsConfig(dtype=dtype, shard_tokens=1000))
    written = megatron.export(TokenShards(shards), tmp_path / "out", side)
    assert written == (tmp_path / "out" / f"{side}.bin", tmp_path / "out" / f"{side}.idx")
    found, ours = read(tmp_path / "out" / side), TokenShards(shards)
    stream, spans = ours.stream(side), ours.documents(side)
    assert found.dtype is theirs
    assert found.sequences == [stream.tokens(span.first_token, span.num_tokens).tolist() for span in spans]
    assert found.documents == list(range(len(spans) + 1))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{side}.bin", f"{side}.idx"]


def test_two_documents_byte_by_byte(write_corpus, small_tokenizer, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", train=["", "\n"])
    write_shards(corpus, small_tokenizer, tmp_path / "shards", ShardsConfig())
    newline = TokenShards(tmp_path / "shards").stream("train").tokens()[1]
    megatron.export(TokenShards(tmp_path / "shards"), tmp_path, "train")
    assert (tmp_path / "train.bin").read_bytes() == bytes([0, 0, newline, 0, 0, 0])
    assert (tmp_path / "train.idx").read_bytes() == bytes.fromhex(
        "4d4d494449445800 00"  # MMIDIDX and two zeros
        "0100000000000000 08"  # version 1, uint16
        "0200000000000000 0300000000000000"  # two sequences, three document indices
        "01000000 02000000"  # lengths
        "0000000000000000 0200000000000000"  # places in bytes
        "0000000000000000 0100000000000000 0200000000000000"
    )


def test_an_empty_side_is_an_index_of_nothing(write_corpus, small_tokenizer, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", train=["text"])
    write_shards(corpus, small_tokenizer, tmp_path / "shards", ShardsConfig())
    megatron.export(TokenShards(tmp_path / "shards"), tmp_path, "test")
    assert read(tmp_path / "test") == Indexed(np.uint16, [], [0])


def test_a_side_that_there_is_not_leaves_no_file(small_shards, tmp_path):
    with pytest.raises(ValueError, match="no side named 'dev'"):
        megatron.export(TokenShards(small_shards), tmp_path / "out", "dev")
    assert not (tmp_path / "out").exists()


def test_a_write_that_fails_leaves_no_half_file(small_shards, tmp_path):
    shards = TokenShards(shutil.copytree(small_shards, tmp_path / "shards"))
    (shards.folder / "train-00001.bin").unlink()
    with pytest.raises(FileNotFoundError):
        megatron.export(shards, tmp_path / "out", "train")
    assert list((tmp_path / "out").iterdir()) == []
