import json
import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from lmcore.chat.template import CHATML
from lmcore.tokenizers.settings import TokenizerConfig
from lmcore.tokenizers.texts import read_batches
from lmcore.tokenizers.tokenizer import Tokenizer
from lmcore.tokenizers.training import train_tokenizer

SMALL = TokenizerConfig(vocab_size=400)
AGAIN = """
import sys
from pathlib import Path
from lmcore.tokenizers.settings import TokenizerConfig
from lmcore.tokenizers.training import train_tokenizer
train_tokenizer(Path(sys.argv[1]), Path(sys.argv[2]), TokenizerConfig(vocab_size=400))
"""


def read_folder(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_folder_holds_tokenizer_template_and_compression(small_tokenizer):
    names = ["chat_template.jinja", "compression.json", "tokenizer.json", "tokenizer_config.json"]
    assert sorted(read_folder(small_tokenizer)) == names
    assert (small_tokenizer / "chat_template.jinja").read_text() == CHATML


@pytest.mark.parametrize(("hash_seed", "threads"), [("1", "1"), ("2", "4")])
def test_the_same_bytes_whatever_the_hash_seed_the_threads_and_the_folder(
    small_corpus, small_tokenizer, tmp_path, hash_seed, threads
):
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "RAYON_NUM_THREADS": threads}
    command = [sys.executable, "-c", AGAIN, str(small_corpus), str(tmp_path / "again")]
    subprocess.run(command, env=environment, check=True, timeout=60)
    assert read_folder(tmp_path / "again") == read_folder(small_tokenizer)


def test_it_learns_from_the_train_side_alone(small_corpus, small_tokenizer, write_corpus, tmp_path):
    texts = [text for batch in read_batches(small_corpus, "train", ["text"]) for text in batch["text"]]
    corpus = write_corpus(tmp_path / "corpus", train=texts, test=["quite other words " * 500])
    train_tokenizer(corpus, tmp_path / "out", SMALL)
    expected = (small_tokenizer / "tokenizer.json").read_bytes()
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == expected


def test_compression_is_counted_by_side_and_source(write_corpus, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", train=["ab ab ab ab"] * 4, test=["ab ab", "é\n"])
    seen = []
    facts = train_tokenizer(
        corpus, tmp_path / "out", TokenizerConfig(vocab_size=266), lambda *n: seen.append(n)
    )
    compression = json.loads((tmp_path / "out" / "compression.json").read_text())
    expected = {"documents": 1, "bytes": 5, "words": 2, "tokens": 2}
    ratios = {"bytes_per_token": 2.5, "tokens_per_word": 1.0}
    assert compression["sources"]["test"]["songs"] == expected | ratios
    assert (
        compression["sources"]["test"]["tales"]["bytes"]
        == compression["sources"]["test"]["tales"]["tokens"]
        == 3
    )
    assert compression["sides"]["test"]["bytes"] == 8
    # "ab" and " ab" are used, the 256 single bytes are not
    assert compression["unused_vocabulary_share"] == round(256 / 258, 6)
    assert facts["train_bytes_per_token"] == 2.75
    assert facts["trained_on_documents"] == 4
    assert facts["vocab_size"] == 266
    assert "validation_bytes_per_token" not in facts
    assert seen[-1] == (6, 6)


def test_a_sample_is_the_same_documents_in_any_order_of_the_file(small_corpus, write_corpus, tmp_path):
    texts = [text for batch in read_batches(small_corpus, "train", ["text"]) for text in batch["text"]]
    half = TokenizerConfig(vocab_size=300, sample_bytes=len("".join(texts).encode()) // 2)
    facts = []
    for name, order in (("forward", texts), ("backward", texts[::-1])):
        corpus = write_corpus(tmp_path / name, train=order)
        facts.append(train_tokenizer(corpus, tmp_path / f"{name}_out", half))
    assert facts[0] == facts[1]
    assert 5 < facts[0]["trained_on_documents"] < 35


def test_an_empty_train_side_is_refused(write_corpus, tmp_path):
    with pytest.raises(ValueError, match=r"train.parquet has no text to learn from"):
        train_tokenizer(write_corpus(tmp_path), tmp_path / "out", SMALL)


def test_a_folder_that_is_no_corpus_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has no train.parquet: a corpus folder holds"):
        train_tokenizer(tmp_path, tmp_path / "out", SMALL)


def test_a_corpus_without_a_column_is_refused_with_those_it_has(small_corpus, tmp_path):
    table = pq.read_table(small_corpus / "train.parquet").drop_columns(["digest"])
    pq.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(ValueError, match=r"has no column digest; it has id, source"):
        train_tokenizer(tmp_path, tmp_path / "out", SMALL)


def test_batches_end_where_enough_text_is_read_and_lose_no_document(small_corpus, monkeypatch):
    monkeypatch.setattr("lmcore.tokenizers.texts.BATCH_CHARACTERS", 500)
    batches = list(read_batches(small_corpus, "train", ["id", "text"]))
    assert len(batches) > 10
    assert [name for batch in batches for name in batch["id"]] == [f"train/a.txt#{n}" for n in range(40)]


def test_what_was_learned_encodes_the_corpus_shorter_than_bytes(small_corpus, small_tokenizer):
    tokenizer = Tokenizer.load(small_tokenizer)
    text = next(read_batches(small_corpus, "test", ["text"]))["text"][0]
    assert len(tokenizer.encode(text)) < 0.7 * len(text.encode())
