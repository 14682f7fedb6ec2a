import json
import re
import shutil
import textwrap

import numpy as np
import pyarrow.parquet as pq
import pytest
from streams import Recorded

from lmcore import batching
from lmcore.batching.settings import ShardsConfig
from lmcore.batching.shard_writer import choose_dtype
from lmcore.batching.token_shards import TokenShards, write_shards
from lmcore.batching.windows import TrainingWindows
from lmcore.lineage import Damaged
from lmcore.tokenizers.control import END_OF_TEXT
from lmcore.tokenizers.texts import SIDES
from lmcore.tokenizers.tokenizer import Tokenizer


def read_folder(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def texts_of(corpus, side):
    return pq.read_table(corpus / f"{side}.parquet").column("text").to_pylist()


@pytest.fixture
def shards(small_shards, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(small_shards, tmp_path / "shards")


@pytest.mark.parametrize("side", SIDES)
def test_the_shards_put_together_are_every_document_and_an_end_of_text(
    small_corpus, small_tokenizer, small_shards, side
):
    tokenizer, shards = Tokenizer.load(small_tokenizer), TokenShards(small_shards)
    expected = [number for text in texts_of(small_corpus, side) for number in [*tokenizer.encode(text), 0]]
    assert shards.stream(side).tokens().tolist() == expected
    assert shards.side(side).tokens == len(expected)
    assert shards.side(side).bytes == sum(len(text.encode()) for text in texts_of(small_corpus, side))


@pytest.mark.parametrize("shard_tokens", [7, 1000, 10**9])
def test_how_the_stream_is_cut_into_files_changes_nothing_that_is_read(
    small_corpus, small_tokenizer, small_shards, tmp_path, shard_tokens
):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for side in SIDES:
        pq.write_table(
            pq.read_table(small_corpus / f"{side}.parquet").slice(0, 4), corpus / f"{side}.parquet"
        )
    write_shards(corpus, small_tokenizer, tmp_path / "out", ShardsConfig(shard_tokens=shard_tokens))
    cut, whole = TokenShards(tmp_path / "out"), TokenShards(small_shards)
    count = cut.side("train").tokens
    assert len(cut.side("train").shards) == -(-count // shard_tokens)
    assert all(shard.tokens == shard_tokens for shard in cut.side("train").shards[:-1])
    assert np.array_equal(cut.stream("train").tokens(), whole.stream("train").tokens(0, count))
    windows = TrainingWindows(Recorded(whole.stream("train").tokens(0, count)), 16, 0)
    assert np.array_equal(cut.windows("train", 16, 0).batch(3, 8), windows.batch(3, 8))
    assert cut.documents("train") == whole.documents("train")[:4]


def test_the_snippet_of_the_documentation_reads_a_document_with_numpy_alone(small_shards):
    layout = re.search(r"NumPy alone reads them:\n\n(.*)", batching.__doc__, re.DOTALL)[1]
    names = {"folder": small_shards, "json": json, "np": np}
    exec(textwrap.dedent(layout), names)
    span = TokenShards(small_shards).documents("train")[3]
    expected = TokenShards(small_shards).stream("train").tokens(span.first_token, span.num_tokens)
    assert np.array_equal(names["document"], expected)
    assert names["document"][-1] == names["index"]["eos_id"]


@pytest.mark.parametrize("side", SIDES)
def test_offsets_and_table_agree(small_shards, side):
    shards = TokenShards(small_shards)
    spans, offsets = shards.documents(side), shards.offsets(side)
    assert offsets[:-1].tolist() == [span.first_token for span in spans]
    assert np.diff(offsets).tolist() == [span.num_tokens for span in spans]
    assert offsets[-1] == shards.side(side).tokens


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
def test_a_full_file_has_64_to_256_megabytes(dtype):
    assert 64e6 <= ShardsConfig().shard_tokens * np.dtype(dtype).itemsize <= 256e6


def test_documents_are_found_where_the_table_says(small_corpus, small_tokenizer, small_shards):
    tokenizer, shards = Tokenizer.load(small_tokenizer), TokenShards(small_shards)
    spans, stream = shards.documents("test"), shards.stream("test")
    rows = [stream.tokens(span.first_token, span.num_tokens) for span in spans]
    assert [tokenizer.decode(row[:-1]) for row in rows] == texts_of(small_corpus, "test")
    assert all(row[-1] == shards.eos_id for row in rows)
    assert [span.num_bytes for span in spans] == [
        len(text.encode()) for text in texts_of(small_corpus, "test")
    ]
    assert (spans[3].id, spans[3].source, spans[3].line) == ("test/a.txt#3", "tales", 31)


def test_the_same_bytes_whatever_the_folder_and_the_size_of_a_batch(
    small_corpus, small_tokenizer, small_shards, tmp_path, monkeypatch
):
    monkeypatch.setattr("lmcore.tokenizers.texts.BATCH_CHARACTERS", 300)
    write_shards(small_corpus, small_tokenizer, tmp_path / "again", ShardsConfig(shard_tokens=1000))
    assert read_folder(tmp_path / "again") == read_folder(small_shards)


def test_the_facts_count_each_side_and_progress_reaches_its_end(
    small_corpus, small_tokenizer, small_shards, tmp_path
):
    seen = []
    facts = write_shards(
        small_corpus,
        small_tokenizer,
        tmp_path,
        ShardsConfig(),
        lambda done, total: seen.append((done, total)),
    )
    assert (facts["train_documents"], facts["validation_documents"], facts["test_documents"]) == (40, 6, 8)
    assert facts["train_tokens"] == TokenShards(small_shards).side("train").tokens
    assert (facts["dtype"], facts["vocab_size"]) == ("uint16", 400)
    assert seen[-1] == (54, 54)


def test_ids_take_two_bytes_where_they_fit_and_four_elsewhere():
    assert choose_dtype(ShardsConfig(), 65_536) == np.dtype("<u2")
    assert choose_dtype(ShardsConfig(), 65_537) == np.dtype("<u4")
    assert choose_dtype(ShardsConfig(dtype="uint32"), 400) == np.dtype("<u4")
    with pytest.raises(ValueError, match="dtype uint16 holds 65536 token ids, the tokenizer has 65537"):
        choose_dtype(ShardsConfig(dtype="uint16"), 65_537)


def test_four_byte_shards_read_as_two_byte_ones(small_corpus, small_tokenizer, small_shards, tmp_path):
    write_shards(small_corpus, small_tokenizer, tmp_path, ShardsConfig(dtype="uint32"))
    wide, narrow = TokenShards(tmp_path), TokenShards(small_shards)
    assert np.array_equal(
        wide.windows("train", 32, 1).batch(0, 8), narrow.windows("train", 32, 1).batch(0, 8)
    )


def test_ids_are_counted_over_all_files(small_shards):
    stream = TokenShards(small_shards).stream("train")
    assert np.array_equal(stream.count_ids(400), np.bincount(stream.tokens(), minlength=400))


def test_reading_past_the_end_is_an_error(small_shards):
    stream = TokenShards(small_shards).stream("test")
    with pytest.raises(IndexError, match=f"of a stream of {stream.num_tokens}"):
        stream.tokens(stream.num_tokens - 1, 2)


def test_a_side_without_documents_is_empty_but_no_error(write_corpus, small_tokenizer, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", train=["some text"])
    write_shards(corpus, small_tokenizer, tmp_path / "out", ShardsConfig())
    shards = TokenShards(tmp_path / "out")
    assert shards.documents("test") == []
    assert shards.stream("test").tokens().shape == (0,)
    with pytest.raises(ValueError, match="the side has no tokens"):
        shards.validation_windows(8)


def test_a_corpus_with_nothing_to_train_on_is_refused(write_corpus, small_tokenizer, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", test=["some text"])
    with pytest.raises(ValueError, match="has no documents to train on"):
        write_shards(corpus, small_tokenizer, tmp_path / "out", ShardsConfig())


def test_a_tokenizer_that_loses_text_is_refused(write_corpus, small_tokenizer, tmp_path):
    lossy = shutil.copytree(small_tokenizer, tmp_path / "lossy")
    document = json.loads((lossy / "tokenizer.json").read_text())
    document["normalizer"] = {"type": "Strip", "strip_left": True, "strip_right": True}
    (lossy / "tokenizer.json").write_text(json.dumps(document))
    corpus = write_corpus(tmp_path / "corpus", train=["fine", " not fine"])
    with pytest.raises(
        ValueError, match=r"document train/a.txt#1 has 9 bytes, its tokens spell 8: .* loses text"
    ):
        write_shards(corpus, lossy, tmp_path / "out", ShardsConfig())


def test_another_tokenizer_is_refused(small_shards, small_tokenizer):
    digest = Tokenizer.load(small_tokenizer).digest
    assert TokenShards(small_shards, tokenizer=digest).vocab_size == 400
    with pytest.raises(ValueError, match=f"was made with tokenizer {digest[:12]}, not with 000000000000"):
        TokenShards(small_shards, tokenizer="0" * 64)


@pytest.mark.parametrize(
    "name", ["train-00001.bin", "test-documents.parquet", "test-offsets.npy", "token-bytes.npy"]
)
def test_a_flipped_byte_a_short_file_and_a_missing_file_are_noticed(shards, name):
    good = (shards / name).read_bytes()
    (shards / name).write_bytes(good[:-3] + bytes([good[-3] ^ 1]) + good[-2:])
    with pytest.raises(Damaged, match=f"{name} is damaged: its SHA-256"):
        TokenShards(shards)
    (shards / name).write_bytes(good[:-2])
    with pytest.raises(Damaged, match=f"{name} has {len(good) - 2} bytes, the index says {len(good)}"):
        TokenShards(shards, is_thorough=False)
    (shards / name).unlink()
    with pytest.raises(Damaged, match=f"{name} is missing; write the shards anew"):
        TokenShards(shards)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "has format 99, this program reads 2"),
        ({"dtype": "int8"}, "'dtype' is 'int8'; input should be"),
        ({"surprise": 1}, "unknown setting 'surprise'"),
    ],
)
def test_an_index_of_another_form_is_refused(shards, change, message):
    index = json.loads((shards / "index.json").read_text())
    (shards / "index.json").write_text(json.dumps(index | change))
    with pytest.raises(ValueError, match=message):
        TokenShards(shards)


def test_a_torn_or_missing_index_is_refused(shards):
    (shards / "index.json").write_text('{"format": ')
    with pytest.raises(Damaged, match="does not read as an index of shards"):
        TokenShards(shards)
    (shards / "index.json").unlink()
    with pytest.raises(ValueError, match=r"has no index.json: it is no folder of shards"):
        TokenShards(shards)


def test_an_unknown_side_is_refused_with_those_known(small_shards):
    with pytest.raises(ValueError, match="no side named 'dev'; known: test, train, validation"):
        TokenShards(small_shards).windows("dev", 8, 0)


def test_the_token_before_a_validation_window_is_its_context(small_shards):
    shards = TokenShards(small_shards)
    batches = list(shards.validation_windows(16).batches(4))
    stream = shards.stream("validation").tokens()
    assert batches[0][0].tolist() == [shards.eos_id, *stream[:16]]
    assert batches[0][1].tolist() == stream[15:32].tolist()
    assert shards.validation_windows(16).num_bytes == shards.side("validation").bytes


def test_the_end_of_text_token_is_the_tokenizers(small_shards, small_tokenizer):
    assert TokenShards(small_shards).eos_id == Tokenizer.load(small_tokenizer).control_id(END_OF_TEXT)
